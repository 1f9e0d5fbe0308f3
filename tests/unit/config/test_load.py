from __future__ import annotations

from textwrap import dedent

import pytest
import yaml

from modelyard.config import tree
from modelyard.config.load import load_config
from modelyard.config.schema import (
    NO_BATCHING,
    BatchingInfo,
    CheckpointsInfo,
    ComputeInfo,
    ConceptInfo,
    ModelInfo,
)
from modelyard.errors import InvalidConfig

TEXT = "model: {id: m, model_type_id: text-to-text}\n"
COMPUTE = "inference_compute_info: {cpu_limit: '1'}\n"


@pytest.fixture(autouse=True, params=["CSafeLoader", "SafeLoader"])
def _each_yaml_parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tree, "_LOADER", getattr(yaml, request.param))


def problems_of(text: str) -> list[str]:
    with pytest.raises(InvalidConfig) as refused:
        load_config(text)
    return [line.strip() for line in refused.value.message.splitlines()[1:]]


def errors_of(text: str) -> list[str]:
    return [line for line in problems_of(text) if not line.startswith("warning: ")]


def warnings_of(text: str) -> list[str]:
    return [str(problem) for problem in load_config(text).warnings]


def test_the_guides_config_is_read():
    config = load_config(
        dedent("""\
            model:
              id: "model_id"
              user_id: "user_id"
              app_id: "app_id"
              model_type_id: "image-classifier" # Change this
            inference_compute_info:
              cpu_limit: "2"
              cpu_memory: "13Gi"
              num_accelerators: 1
              accelerator_type: ["NVIDIA-A10G", "NVIDIA-*"] # Specify the GPU type if needed
              accelerator_memory: "15Gi"
            concepts:
              - id: '0'
                name: bus
              - id: '1'
                name: person
            build_info:
              python_version: "3.12"
            num_threads: 4
            batching:
              max_size: 32
              max_wait_ms: 5
        """)
    )
    assert config.warnings == ()
    assert config.config.model == ModelInfo(
        id="model_id", user_id="user_id", app_id="app_id", model_type_id="image-classifier"
    )
    assert config.config.compute == ComputeInfo(
        cpu_limit="2",
        cpu_memory="13Gi",
        num_accelerators=1,
        accelerator_type=("NVIDIA-A10G", "NVIDIA-*"),
        accelerator_memory="15Gi",
    )
    assert config.config.concepts == (ConceptInfo(id="0", name="bus"), ConceptInfo(id="1", name="person"))
    assert (config.config.python_version, config.config.num_threads) == ("3.12", 4)
    assert config.config.batching == BatchingInfo(max_size=32, max_wait_ms=5)


def test_the_guides_checkpoints_stand_in_for_concepts():
    loaded = load_config(
        COMPUTE + "model: {id: m, model_type_id: visual-detector}\n"
        "checkpoints: {type: huggingface, repo_id: facebook/detr-resnet-50, hf_token: secret, when: runtime,\n"
        "  allowed_file_patterns: ['*.safetensors', '*.json'], ignore_file_patterns: ['*.bin']}\n"
    )
    assert loaded.config.checkpoints == CheckpointsInfo(
        type="huggingface",
        repo_id="facebook/detr-resnet-50",
        hf_token="secret",
        when="runtime",
        allowed_file_patterns=("*.safetensors", "*.json"),
        ignore_file_patterns=("*.bin",),
    )
    assert [str(one) for one in loaded.warnings] == [
        "checkpoints.hf_token (line 3): whoever sees the folder sees this token; leave it out, and set HF_TOKEN instead"
    ]


def test_what_is_not_given_is_left_to_the_server():
    config = load_config(TEXT).config
    assert (config.model.user_id, config.model.app_id) == ("", "")
    assert (config.python_version, config.num_threads, config.checkpoints) == ("", 0, None)
    assert config.batching == NO_BATCHING
    assert config.compute == ComputeInfo()


def test_empty_keys_count_as_not_given():
    config = load_config(TEXT + "concepts:\ncheckpoints: ~\nbuild_info: null\nnum_threads:\n").config
    assert (config.concepts, config.checkpoints, config.python_version, config.num_threads) == ((), None, "", 0)


def test_all_problems_are_reported_at_once_with_path_line_value_and_what_is_allowed():
    assert errors_of(
        dedent("""\
            model:
              id: my model
              model_type_id: text-to-text
            inference_compute_info:
              cpu_limit: two
              cpu_memory: 13GB
              num_accelerators: -1
              accelerator_type: [NVIDIA A10]
            build_info:
              python_version: '3.7'
            num_threads: 4096
            concepts: none of them
        """)
    ) == [
        (
            "model.id (line 2): 'my model' is not a valid id; "
            "use 1 to 48 letters, digits, '-', '_' or '.', starting with a letter, digit or '_'"
        ),
        (
            "inference_compute_info.cpu_limit (line 5): 'two' is not an amount of CPU; "
            "use a number of CPUs or thousandths of one, such as 2, 0.5 or 500m"
        ),
        "inference_compute_info.cpu_memory (line 6): '13GB' is not an amount of memory; did you mean 13Gi?",
        "inference_compute_info.num_accelerators (line 7): '-1' is not a whole number from 0 to 1024",
        (
            "inference_compute_info.accelerator_type[0] (line 8): 'NVIDIA A10' is not an accelerator type; "
            "use a name or pattern such as NVIDIA-A10G or NVIDIA-*"
        ),
        "build_info.python_version (line 10): '3.7' is not supported; use one of 3.10-3.13",
        "num_threads (line 11): '4096' is not a whole number from 1 to 1024",
        "concepts (line 12): 'none of them' is not a list; write `- id: '0'` with `name: ...` below it",
    ]


def test_the_source_heads_the_list():
    with pytest.raises(InvalidConfig, match=r"^my/config\.yaml has 1 problem:\n  model "):
        load_config("", source="my/config.yaml")


def test_warnings_stand_beside_the_problems_they_may_explain():
    problems = problems_of("modle: {id: m, model_type_id: text-to-text}\n" + COMPUTE)
    assert problems == [
        "model (line 1): is missing; write `model:` with `id` and `model_type_id` below it",
        "warning: modle (line 1): is not a key that is known here; did you mean 'model'?",
    ]


def test_a_long_list_of_problems_is_cut():
    problems = errors_of(TEXT + "concepts:\n" + "- {}\n" * 100)
    assert len(problems) == 51
    assert problems[-1] == "and 150 more"


def test_values_are_read_as_typed():
    config = load_config(
        "model: {id: 007, model_type_id: text-classifier}\n"
        "build_info: {python_version: 3.10}\n"
        "inference_compute_info: {cpu_limit: 2.50, cpu_memory: 1e3}\n"
        "concepts:\n- {id: 0, name: no}\n- {id: 1.0, name: null}\n"
        "- {id: yes, name: 1_000}\n- {id: '~', name: 2024-01-01}\n"
    ).config
    assert config.model.id == "007"
    assert config.python_version == "3.10"
    assert (config.compute.cpu_limit, config.compute.cpu_memory) == ("2.50", "1e3")
    pairs = [(concept.id, concept.name) for concept in config.concepts]
    assert pairs == [("0", "no"), ("1.0", "null"), ("yes", "1_000"), ("~", "2024-01-01")]


def test_concept_ids_have_to_differ_as_text():
    assert errors_of(TEXT + "concepts:\n- {id: 0, name: a}\n- {id: '0', name: b}\n- {id: 00, name: c}\n") == [
        "concepts[1].id (line 4): '0' is given twice; concept ids have to differ"
    ]


def test_a_concept_needs_an_id_and_a_name():
    assert [
        line.partition(";")[0] for line in errors_of(TEXT + "concepts:\n- id: '0'\n  name: ' '\n- cat\n- name: ~\n")
    ] == [
        "concepts[0].name (line 4): is missing",
        "concepts[1] (line 5): 'cat' is not an entry",
        "concepts[2].id (line 6): is missing",
        "concepts[2].name (line 6): is missing",
    ]


@pytest.mark.parametrize("concepts", ["", "concepts:\n", "concepts: []\n"])
def test_concepts_are_required_where_the_model_answers_them(concepts: str):
    (problem,) = errors_of("model: {id: m, model_type_id: image-classifier}\n" + concepts)
    assert (
        "is required because image-classifier outputs concepts and the model is not loaded from Hugging Face" in problem
    )


def test_an_unknown_model_type_is_only_warned_about():
    loaded = load_config(COMPUTE + "model: {id: m, model_type_id: image-clasifier}\n")
    assert loaded.config.model.model_type_id == "image-clasifier"
    assert [str(warning) for warning in loaded.warnings] == [
        "model.model_type_id (line 2): 'image-clasifier' is not a public model type; did you mean 'image-classifier'?"
    ]
    assert warnings_of(COMPUTE + "model: {id: m, model_type_id: zzz}\n")[0].endswith("will not be checked")


def test_model_and_its_id_are_required():
    assert [line.partition(";")[0] for line in errors_of("model:\n  id: ''\n")] == ["model.id (line 2): is missing"]


def test_a_missing_type_is_any_as_published_clients_take_it():
    loaded = load_config(COMPUTE + "model: {id: gpt-5_1}\n")
    assert loaded.config.model.model_type_id == "any-to-any"
    assert str(loaded.warnings[0]).startswith("model.model_type_id (line 2): is missing and read as any-to-any")


def test_a_missing_compute_section_is_warned_about():
    assert warnings_of(TEXT) == [
        "inference_compute_info (line 1): is missing; write cpu_limit and cpu_memory, other servers require them"
    ]


def test_a_lone_accelerator_type_is_read_as_a_list_with_a_warning():
    loaded = load_config(TEXT + "inference_compute_info: {accelerator_type: NVIDIA-*}\n")
    assert loaded.config.compute.accelerator_type == ("NVIDIA-*",)
    assert "is read as a list of one; write ['NVIDIA-*']" in str(loaded.warnings[0])


def test_no_cpu_at_all_is_refused_but_no_accelerator_memory_is_not():
    problems = errors_of(TEXT + "inference_compute_info: {cpu_limit: 0, cpu_memory: 0Gi, accelerator_memory: 0Gi}\n")
    assert [line.partition(": ")[2] for line in problems] == ["'0' is not above 0", "'0Gi' is not above 0"]


def test_unknown_keys_are_warned_about_with_a_suggestion_also_nested():
    text = dedent("""\
        model: {id: m, model_type_id: text-classifier, app: x}
        inference_compute_info: {cpu_limt: 1, zebra: 1}
        concept: []
        concepts: [{id: a, name: b, nme: c}, {id: b, name: b, nme: c}]
        cpu_memory: 1Gi
        build_info: {python: 3.11}
    """)
    assert warnings_of(text) == [
        "model.app (line 1): is not a key that is known here; did you mean 'app_id'?",
        "inference_compute_info.cpu_limt (line 2): is not a key that is known here; did you mean 'cpu_limit'?",
        "inference_compute_info.zebra (line 2): is not a key that is known here and is passed over",
        "concept (line 3): is not a key that is known here; did you mean 'concepts'?",
        "concepts[0].nme (line 4): is not a key that is known here; did you mean 'name'?",
        "cpu_memory (line 5): is not a key that is known here; it belongs under 'inference_compute_info'",
        "build_info.python (line 6): is not a key that is known here; did you mean 'python_version'?",
    ]


def test_newer_published_keys_without_effect_are_told_from_typos_one_warning_each():
    text = dedent("""\
        model: {id: m, model_type_id: any-to-any, toolkits: [vllm], description: x}
        build_info: {image: x, node_version: "20", dereference_symlinks: true, python_version: "3.12"}
        mcp_server: {command: npx}
        toolkit: {provider: ollama}
        streaming_video_consumer: true
        pipeline_step_compute_info: {cpu_limit: 500m}
        inference_compute_info: {cpu_requests: "1", cpu_memory_requests: 1Gi}
    """)
    warnings = warnings_of(text)
    assert all("has no effect in this release; " in warning for warning in warnings)
    assert sorted(warning.partition(" ")[0] for warning in warnings) == [
        "build_info.dereference_symlinks",
        "build_info.image",
        "build_info.node_version",
        "inference_compute_info.cpu_memory_requests",
        "inference_compute_info.cpu_requests",
        "mcp_server",
        "model.description",
        "model.toolkits",
        "pipeline_step_compute_info",
        "streaming_video_consumer",
        "toolkit",
    ]


def test_what_a_key_without_effect_says_has_to_be_right_as_well():
    assert errors_of(TEXT + "inference_compute_info: {cpu_requests: many}\n")[0].startswith(
        "inference_compute_info.cpu_requests (line 2): 'many' is not an amount of CPU"
    )


def test_a_key_given_twice_is_refused_with_both_lines():
    assert errors_of("model:\n  id: a\n  id: b\n  model_type_id: text-to-text\n") == [
        "model.id (line 3): 'id' is given twice, first on line 2; keep one"
    ]


def test_aliases_and_anchors_are_refused_where_they_stand():
    problems = errors_of("a: &x [1]\nb: [*x, *x]\n" + TEXT)
    assert [line.partition(";")[0] for line in problems] == [
        "a (line 1): '&x' is an anchor",
        "b[0] (line 2): '*x' is an alias",
        "b[1] (line 2): '*x' is an alias",
    ]


def test_an_alias_is_reported_once_and_the_rest_still_checked():
    problems = errors_of("x: &x 3\nmodel: {id: *x, model_type_id: *x}\nconcepts: *x\nnum_threads: many\n")
    assert [line.partition(" ")[0] for line in problems] == [
        "x", "model.id", "model.model_type_id", "concepts", "num_threads",
    ]  # fmt: skip


def test_a_bomb_of_aliases_costs_nothing():
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 40)]
    assert len(problems_of("\n".join(levels))) < 110


@pytest.mark.parametrize("value", ["!!python/object/apply:os.system [ls]", "!secret x", "!!binary aGk="])
def test_tags_are_refused(value: str):
    assert "the tag '!" in errors_of(f"{TEXT}x: {value}\n")[0]


@pytest.mark.parametrize("value", ["!!str 5", "! 5", "'5'", '"5"', "5", "|-\n    5"])
def test_the_ways_of_writing_plain_text_are_all_read(value: str):
    assert load_config(f"model:\n  model_type_id: text-to-text\n  id: {value}\n").config.model.id == "5"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("model:\n  id: a: b\n", 2, "this is not YAML: mapping values are not allowed"),
        ("model:\n  id: [a\n", 3, "this is not YAML: "),
        ("model:\n\tid: a\n", 2, "this is not YAML: "),
        ("é: 1\nb: \x01\n", 2, "the character '\\x01' is not allowed"),
        ("model: {}\n---\nmodel: {}\n", 3, "a second document starts here"),
        ("- model\n", 1, "this is not a mapping; start with `model:`"),
        ("hello\n", 1, "this is not a mapping"),
        ("a:\n  " + "[" * 50, 2, "nested deeper than 20 levels"),
        ("a: 1\nb: \udc80\n", 2, "this is not UTF-8"),
        ("#" * (256 * 1024 + 1), 1, "the file is larger than 256 KiB"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(text: str, line: int, words: str):
    (problem,) = errors_of(text)
    assert problem.startswith(f"line {line}: {words}")


def test_a_file_of_nothing_but_brackets_is_given_up_at_once():
    assert errors_of("[" * 200_000) == ["line 1: nested deeper than 20 levels"]


def test_a_byte_order_mark_is_passed_over():
    assert load_config("\ufeff" + TEXT).config.model.id == "m"


def test_keys_that_are_no_words_are_refused():
    assert errors_of(TEXT + "? [a, b]\n: c\n") == ["line 2: a key has to be a word; quote it if it is one"]


def test_control_characters_of_a_key_do_not_reach_the_terminal():
    assert "\x1b" not in warnings_of(TEXT + '"\\x1b[31mred\\nline": 1\n')[-1]


def test_a_long_value_is_shortened():
    (problem,) = errors_of(f"model: {{id: '{'x' * 5000}', model_type_id: text-to-text}}\n")
    assert len(problem) < 300


def test_the_token_is_never_shown():
    text = TEXT + "checkpoints: {type: s3, repo_id: a/../b, hf_token: hf_secret, when: never}\n"
    problems = problems_of(text)
    assert [line.partition(";")[2] for line in problems if line.startswith("checkpoints.")] == [
        " use huggingface", " use owner/name", " use upload or build or runtime",
    ]  # fmt: skip
    assert "hf_secret" not in "".join(problems)
    loaded = load_config(
        text.replace("s3", "huggingface").replace("..", "c").replace("a/", "").replace("never", "build")
    )
    assert "hf_secret" not in repr(loaded)


def test_sections_of_the_wrong_kind_are_refused():
    assert errors_of("model: m\nbuild_info: [3.11]\nnum_threads: {a: 1}\n") == [
        "model (line 1): 'm' is not a section; write its keys below it, indented",
        "build_info (line 2): a list is not a section; write its keys below it, indented",
        "num_threads (line 3): a section is not text; write one value",
    ]
