"""What newer published folders write: `compute`, `secrets`, placeholders, and what is left out of them."""

from __future__ import annotations

import pytest

from modelyard.config.load import LoadedConfig, load_config
from modelyard.config.schema import ComputeInfo, SecretInfo
from modelyard.errors import InvalidConfig

MODEL = "model: {id: m, model_type_id: text-to-text}\n"
GPU = ComputeInfo(
    cpu_limit="4",
    cpu_memory="14Gi",
    num_accelerators=1,
    accelerator_type=("NVIDIA-*",),
    accelerator_memory="24G",
)


def load(text: str) -> LoadedConfig:
    return load_config(MODEL + text)


def warnings_of(text: str) -> list[str]:
    return [str(one) for one in load(text).warnings]


def notes_of(text: str) -> list[str]:
    return [str(one) for one in load(text).notes]


def errors_of(text: str) -> list[str]:
    with pytest.raises(InvalidConfig) as refused:
        load(text)
    return [line.strip() for line in refused.value.message.splitlines()[1:] if "warning: " not in line]


@pytest.mark.parametrize("name", ["g5.xlarge", "G5.xlarge", "a10g", "A10G", "gpu-nvidia-a10g", "NVIDIA-A10G"])
def test_an_instance_type_or_a_gpu_stands_for_what_the_model_needs(name: str):
    loaded = load(f"compute: {{instance: {name}, cloud: aws}}\n")
    assert loaded.config.compute == GPU
    assert loaded.warnings == ()
    assert str(loaded.notes[0]).startswith(f"compute.instance (line 2): {name} is read as 4 CPUs and 14Gi, 1 x A10G")


def test_cpu_is_an_instance_without_a_gpu():
    compute = load("compute: {instance: cpu}\n").config.compute
    assert compute == ComputeInfo(cpu_limit="4", cpu_memory="14Gi")


def test_the_older_name_of_instance_is_read():
    loaded = load("compute: {gpu: a10g}\n")
    assert (loaded.config.compute, loaded.warnings) == (GPU, ())


def test_several_gpus_take_the_smallest_machine_that_has_them():
    compute = load("compute: {instance: l40s, num_gpus: 4}\n").config.compute
    assert (compute.cpu_limit, compute.cpu_memory, compute.num_accelerators) == ("48", "336Gi", 4)


def test_a_machine_with_another_number_of_gpus_is_told():
    loaded = load("compute: {instance: g5.xlarge, num_gpus: 3}\n")
    assert loaded.config.compute == ComputeInfo()
    assert [str(one) for one in loaded.warnings] == [
        "compute.num_gpus (line 2): 'g5.xlarge' has 1 GPU, not 3, so what the model needs is left to the server"
    ]


def test_an_unknown_instance_is_told_with_near_ones_and_what_to_write_instead():
    loaded = load("compute:\n  instance: g5.xlage\n")
    assert loaded.config.compute == ComputeInfo()
    (warning,) = loaded.warnings
    assert warning.line == 3
    assert "'g5.xlage' is not known here, so what the model needs is left to the server; did you mean g5.xlarge" in (
        warning.message
    )
    assert warning.message.endswith("Otherwise write inference_compute_info with cpu_limit and cpu_memory instead")
    assert "did you mean" not in warnings_of("compute: {instance: quantum}\n")[0]


def test_compute_without_an_instance_is_told():
    assert warnings_of("compute: {cloud: aws}\n")[0].startswith("compute.instance (line 2): is missing; name")


def test_a_cloud_that_does_not_have_the_instance_is_told():
    assert warnings_of("compute: {instance: g5.xlarge, cloud: gcp}\n") == [
        "compute.cloud (line 2): 'gcp' does not have g5.xlarge: it is an instance type of aws"
    ]


def test_inference_compute_info_counts_where_both_are_given_since_published_clients_write_both():
    loaded = load("compute: {instance: quantum}\ninference_compute_info: {cpu_limit: '1', cpu_memory: 1Gi}\n")
    assert loaded.config.compute == ComputeInfo(cpu_limit="1", cpu_memory="1Gi")
    assert loaded.warnings == ()
    assert [str(one) for one in loaded.notes] == [
        "compute (line 2): is not read, because inference_compute_info is given, too, and counts"
    ]


def test_secrets_are_names_of_environment_variables():
    loaded = load(
        "inference_compute_info: {cpu_limit: '1'}\n"
        "secrets:\n- {id: search_key, type: env, env_var: SEARCH_KEY, description: For searching}\n"
        "- {id: b, env_var: B}\n"
    )
    assert loaded.config.secrets == (
        SecretInfo(id="search_key", env_var="SEARCH_KEY", description="For searching"),
        SecretInfo(id="b", env_var="B"),
    )
    (warning,) = loaded.warnings
    assert warning.message.startswith("`modelyard run` hands SEARCH_KEY, B of your environment to the model; a server")


def test_what_is_wrong_with_secrets_is_told_at_once():
    problems = errors_of(
        "secrets:\n- {type: file, env_var: A}\n- {id: b}\n- {id: c, env_var: A}\n- {id: d, env_var: LD_PRELOAD}\n"
    )
    assert [problem.partition(";")[0] for problem in problems] == [
        "secrets[0].type (line 3): 'file' is not supported",
        "secrets[0].id (line 3): is missing",
        "secrets[1].env_var (line 4): is missing",
        "secrets[2].env_var (line 5): 'A' is given twice",
        "secrets[3].env_var (line 6): 'LD_PRELOAD' is not a variable that a secret may be in",
    ]


def test_the_value_of_a_secret_is_never_shown_nor_kept():
    loaded = load("secrets: [{id: a, env_var: A, value: hunter2}]\n")
    assert "secrets[0].value (line 2): has no effect in this release; whoever sees" in "".join(
        map(str, loaded.warnings)
    )
    assert "hunter2" not in repr(loaded)


PLACEHOLDERS = [
    "your_hf_token",
    "hf_token",
    "HF_TOKEN",
    "<token>",
    "${HF_TOKEN}",
    "$HF_TOKEN",
    "hf_xxxx",
    "hf_...",
    "xxx",
]


@pytest.mark.parametrize("token", [*PLACEHOLDERS, "YOUR-TOKEN-HERE", "{{ token }}"])
def test_placeholders_for_a_token_count_as_not_given(token: str):
    loaded = load(f"checkpoints: {{repo_id: a/b, hf_token: '{token}'}}\n")
    assert loaded.config.checkpoints
    assert loaded.config.checkpoints.hf_token == ""
    assert "is a placeholder and counts as not given" in str(loaded.warnings)


def test_a_token_is_read_with_a_warning_that_does_not_show_it():
    loaded = load("checkpoints: {repo_id: a/b, hf_token: 1234567}\n")
    assert loaded.config.checkpoints
    assert loaded.config.checkpoints.hf_token == "1234567"
    assert "set HF_TOKEN instead" in str(loaded.warnings)
    assert "1234567" not in str((loaded.warnings, loaded.notes))


def test_checkpoints_are_of_hugging_face_where_no_type_is_given():
    loaded = load("inference_compute_info: {cpu_limit: '1'}\ncheckpoints: {repo_id: a/b}\n")
    assert loaded.config.checkpoints
    assert loaded.config.checkpoints.type == "huggingface"
    assert loaded.warnings == ()


def test_concepts_of_the_config_count_before_those_of_the_checkpoint():
    assert notes_of("checkpoints: {repo_id: a/b}\nconcepts: [{id: a, name: b}, {id: c, name: d}]\n") == [
        "concepts (line 3): these 2 count; the labels of the checkpoint are not read"
    ]


@pytest.mark.parametrize(
    ("given", "read"),
    [("linux/amd64", ("linux/amd64",)), ("linux/amd64, linux/arm64/v8", ("linux/amd64", "linux/arm64/v8"))],
)
def test_platforms_are_read(given: str, read: tuple[str, ...]):
    assert load(f"build_info: {{platform: '{given}'}}\n").config.platforms == read


def test_what_is_no_platform_is_refused():
    (problem,) = errors_of("build_info: {platform: windows}\n")
    assert "'windows' is not a platform; use an operating system and an architecture, such as linux/amd64" in problem


def test_a_full_python_version_is_read_as_its_minor_version():
    loaded = load("build_info: {python_version: 3.11.7}\n")
    assert loaded.config.python_version == "3.11"
    assert "3.11.7 is read as 3.11: the machine's newest Python 3.11 is taken" in str(loaded.warnings)


@pytest.mark.parametrize(
    ("given", "meant"),
    [("3.1", "3.10"), ("python3.12", "3.12"), ("py311", "3.11"), (">=3.10", "3.10"), ("3.13.x", "3.13")],
)
def test_other_ways_to_write_a_python_version_are_answered_with_what_was_meant(given: str, meant: str):
    (problem,) = errors_of(f"build_info: {{python_version: '{given}'}}\n")
    assert f"did you mean {meant}?" in problem


def test_python_3_10_without_quotes_is_told_to_be_3_1_elsewhere():
    assert notes_of("build_info: {python_version: 3.10}\n") == [
        'build_info.python_version (line 2): 3.10 without quotes is no text for other tools; write "3.10"'
    ]


def test_an_empty_text_is_nothing():
    loaded = load("inference_compute_info: {cpu_limit: '', accelerator_memory: ''}\nbuild_info: {image: ''}\n")
    assert loaded.config.compute == ComputeInfo()
