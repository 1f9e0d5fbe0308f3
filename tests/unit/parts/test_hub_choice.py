from __future__ import annotations

import pytest
from huggingface_hub.utils import filter_repo_objects

from modelyard.parts.hub.choice import HubFile, choose, explain_bad_names, join_paths, list_pickles

VIT = ("README.md", "config.json", "flax_model.msgpack", "model.safetensors", "preprocessor_config.json",
       "pytorch_model.bin", "tf_model.h5")  # fmt: skip
LLAMA = ("LICENSE", "config.json", "generation_config.json", "model-00001-of-00002.safetensors",
         "model-00002-of-00002.safetensors", "model.safetensors.index.json", "original/consolidated.00.pth",
         "original/params.json", "original/tokenizer.model", "tokenizer.json")  # fmt: skip
MISTRAL = ("config.json", "consolidated.safetensors", "model-00001-of-00001.safetensors", "params.json",
           "tokenizer.model.v3", "tokenizer.json")  # fmt: skip
WHISPER = ("config.json", "flax_model.msgpack", "merges.txt", "model.fp32-00001-of-00002.safetensors",
           "model.fp32-00002-of-00002.safetensors", "model.safetensors", "model.safetensors.index.fp32.json",
           "pytorch_model.bin", "pytorch_model.fp32-00001-of-00002.bin", "pytorch_model.bin.index.fp32.json",
           "tf_model.h5", "vocab.json")  # fmt: skip
MINILM = ("1_Pooling/config.json", "config.json", "data_config.json", "model.safetensors", "modules.json",
          "onnx/model.onnx", "onnx/model_O4.onnx", "openvino/openvino_model.bin", "openvino/openvino_model.xml",
          "pytorch_model.bin", "rust_model.ot", "tf_model.h5", "train_script.py", "vocab.txt")  # fmt: skip
SDXL = ("model_index.json", "scheduler/scheduler_config.json", "text_encoder/config.json",
        "text_encoder/flax_model.msgpack", "text_encoder/model.fp16.safetensors", "text_encoder/model.onnx",
        "text_encoder/model.safetensors", "text_encoder/openvino_model.bin", "text_encoder/openvino_model.xml",
        "unet/config.json", "unet/diffusion_flax_model.msgpack", "unet/diffusion_pytorch_model.bin",
        "unet/diffusion_pytorch_model.fp16.safetensors", "unet/diffusion_pytorch_model.safetensors",
        "unet/model.onnx", "unet/model.onnx_data", "unet/openvino_model.bin", "vae_1_0/config.json")  # fmt: skip


def list_files(*paths: str) -> list[HubFile]:
    return [HubFile(path=path, size_bytes=1, blob_id="0" * 40) for path in paths]


def kept(*paths: str, allow: tuple[str, ...] = (), ignore: tuple[str, ...] = ()) -> list[str]:
    return [file.path for file in choose(list_files(*paths), allow=allow, ignore=ignore).files]


def left_out(*paths: str, ignore: tuple[str, ...] = ()) -> list[str]:
    return [file.path for file in choose(list_files(*paths), allow=(), ignore=ignore).left_out]


def test_a_classifier_comes_without_copies_for_other_frameworks() -> None:
    assert left_out(*VIT) == ["flax_model.msgpack", "pytorch_model.bin", "tf_model.h5"]


def test_a_language_model_comes_without_its_first_form() -> None:
    assert left_out(*LLAMA) == ["original/consolidated.00.pth", "original/params.json", "original/tokenizer.model"]
    assert left_out(*MISTRAL) == ["consolidated.safetensors"]


def test_copies_are_left_out_in_every_variant_that_safetensors_have() -> None:
    assert left_out(*WHISPER) == [
        "flax_model.msgpack", "pytorch_model.bin", "pytorch_model.bin.index.fp32.json",
        "pytorch_model.fp32-00001-of-00002.bin", "tf_model.h5",
    ]  # fmt: skip


def test_files_of_other_runtimes_are_left_out_beside_safetensors() -> None:
    assert left_out(*MINILM) == [
        "onnx/model.onnx", "onnx/model_O4.onnx", "openvino/openvino_model.bin", "openvino/openvino_model.xml",
        "pytorch_model.bin", "rust_model.ot", "tf_model.h5",
    ]  # fmt: skip


def test_the_rule_looks_at_each_folder_of_a_pipeline() -> None:
    assert left_out(*SDXL) == [
        "text_encoder/flax_model.msgpack", "text_encoder/model.onnx", "text_encoder/openvino_model.bin",
        "text_encoder/openvino_model.xml", "unet/diffusion_flax_model.msgpack", "unet/diffusion_pytorch_model.bin",
        "unet/model.onnx", "unet/model.onnx_data", "unet/openvino_model.bin",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "path",
    ["training_args.bin", "optimizer.pt", "2_Dense/pytorch_model.bin", "pytorch_model.fp16.bin", "adapter_model.bin",
     "speaker_embeddings.bin", "sentencepiece.bpe.model", "vocab.bin", "model.bin", "pytorch_model_notes.bin"],
)  # fmt: skip
def test_what_is_no_copy_stays(path: str) -> None:
    assert left_out("config.json", "model.safetensors", path) == []


def test_without_safetensors_nothing_is_left_out() -> None:
    paths = [path for path in MINILM if not path.endswith(".safetensors")]
    assert left_out(*paths) == []


def test_who_ignores_safetensors_gets_the_other_files() -> None:
    assert left_out(*VIT, ignore=("*.safetensors",)) == []
    assert "pytorch_model.bin" in kept(*VIT, ignore=("*.safetensors",))


def test_allowed_patterns_get_what_they_name_and_nothing_is_left_out() -> None:
    assert kept(*VIT, allow=("*.bin", "config.json")) == ["config.json", "pytorch_model.bin"]
    assert kept(*VIT, allow=("*",)) == sorted(VIT)
    assert kept(*VIT, allow=("*.bin", "*.json"), ignore=("pre*",)) == ["config.json", "pytorch_model.bin"]


def test_housekeeping_of_git_is_not_part_of_a_model() -> None:
    assert kept(".gitattributes", "config.json") == ["config.json"]


@pytest.mark.parametrize("pattern", ["*.json", "onnx/", "onnx/*", "*/config.json", "model.*", "[mt]*", "o?nx*", "*"])
def test_patterns_match_as_those_of_huggingface_hub(pattern: str) -> None:
    assert kept(*MINILM, allow=(pattern,)) == sorted(filter_repo_objects(MINILM, allow_patterns=[pattern]))
    ignored = sorted(filter_repo_objects(MINILM, ignore_patterns=[pattern]))
    assert kept(*MINILM, allow=("*",), ignore=(pattern,)) == ignored


def test_pickles_are_told_where_there_are_no_safetensors() -> None:
    assert list_pickles(choose(list_files("pytorch_model.bin", "config.json"), allow=(), ignore=())) == (
        "pytorch_model.bin",
    )
    assert list_pickles(choose(list_files("training_args.bin", "model.safetensors"), allow=(), ignore=())) == ()


def test_names_that_no_disk_should_have_are_told() -> None:
    found = explain_bad_names(list_files("../up", "a\nb", "Config.json", "config.json", "ok"))
    assert [line.partition(":")[0] for line in found] == ["'../up'", "'a\\nb'", "'config.json'"]


def test_long_lists_are_shortened_and_control_characters_shown() -> None:
    assert join_paths(["a", "b\n", "c", "d", "e", "f", "g"]) == "a, 'b\\n', c, d, e and 2 more"
