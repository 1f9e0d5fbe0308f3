"""The JSON schema that editors use agrees with the checker."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator, Draft202012Validator

from modelyard.config.json_schema import make_schema
from modelyard.config.key import Key, Kind
from modelyard.config.keys import TOP
from modelyard.config.load import load_config
from modelyard.config.schema_file import INSTALLED, SCHEMA_LINE, add_schema_line, read_schema
from modelyard.errors import InvalidConfig

ROOT = Path(__file__).parents[3]
OURS = ("examples", "benchmarks", "src/modelyard/local/templates")
CONFIGS = sorted(path.parents[1] / "config.yaml" for top in OURS for path in (ROOT / top).rglob("1/model.py"))
SCHEMA = make_schema()


class Core(yaml.SafeLoader):
    """YAML 1.2's core schema, as editors read it: `no` is a word, `3.10` a number."""


Core.yaml_implicit_resolvers = {}
for tag, pattern, first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+0123456789.")),
):
    Core.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"(?:{pattern})$"), first)


def read(text: str) -> Any:
    return yaml.load(text.removeprefix("\ufeff"), Loader=Core)


def complaints(text: str) -> list[str]:
    return [error.json_path for error in Draft202012Validator(SCHEMA).iter_errors(read(text))]


def fill_in(text: str) -> str:
    words = {"PLACE": '\n  user_id: "u"', "PYTHON": "3.12", "CHECKPOINT": "owner/name"}
    return re.sub(r"@([A-Z_]+)@", lambda found: words.get(found[1], "m"), text)


MODEL = "model: {id: m, model_type_id: text-to-text}\n"
ACCEPTED = [
    MODEL,
    "model: {id: m}\n",
    "model: {id: 5, model_type_id: my-own-type, user_id: u, app_id: a}\n",
    MODEL + "inference_compute_info: {cpu_limit: 2, cpu_memory: 1e3, accelerator_memory: 0Gi, num_accelerators: '1'}\n",
    MODEL + "inference_compute_info: {cpu_limit: 500m, cpu_memory: .5Gi, accelerator_type: NVIDIA-*}\n",
    MODEL + "inference_compute_info:\nconcepts:\ncheckpoints: ~\nbuild_info: null\nnum_threads:\nsecrets: []\n",
    MODEL + "compute: {instance: a10g, cloud: aws, num_gpus: 1}\n",
    MODEL + "compute: {instance: something-new, region: us-east-1}\n",
    MODEL + "build_info: {python_version: '3.10', platform: 'linux/amd64,linux/arm64', image: x, node_version: '20'}\n",
    MODEL + "build_info: {python_version: 3.12}\n",
    MODEL + "build_info: {python_version: 3.11.7}\n",
    MODEL + "checkpoints: {repo_id: a/b, hf_token: x, when: build, revision: main, ignore_file_patterns: '*.bin'}\n",
    "model: {id: m, model_type_id: image-classifier}\ncheckpoints: {type: huggingface, repo_id: a/b}\n",
    "model: {id: m, model_type_id: visual-detector}\nconcepts: [{id: 0, name: no}, {id: 1.0, name: true}]\n",
    MODEL + "secrets: [{id: a, type: env, env_var: KEY, description: d, value: v}]\nnum_threads: 16\n",
    MODEL + "mcp_server: {command: npx, args: [-y]}\ntoolkit: {provider: ollama}\nstreaming_video_consumer: true\n",
    MODEL + "batching: {max_size: 32, max_wait_ms: 5}\n",
    MODEL + "batching: {max_size: 1}\n",
    MODEL + "batching:\n",
    "\ufeff" + MODEL,
]
REFUSED = [
    ("", "$"),
    ("model:\n", "$.model"),
    ("model: m\n", "$.model"),
    ("model: {model_type_id: text-to-text}\n", "$.model"),
    ("model: {id: my model}\n", "$.model.id"),
    ("model: {id: m, user_id: a/b}\n", "$.model.user_id"),
    ("model: {id: m, model_type_id: [a]}\n", "$.model.model_type_id"),
    ("model: {id: m, model_type_id: text-classifier}\n", "$"),
    (MODEL + "inference_compute_info: {cpu_limit: two}\n", "$.inference_compute_info.cpu_limit"),
    (MODEL + "inference_compute_info: {cpu_limit: 0}\n", "$.inference_compute_info.cpu_limit"),
    (MODEL + "inference_compute_info: {cpu_limit: 0m}\n", "$.inference_compute_info.cpu_limit"),
    (MODEL + "inference_compute_info: {cpu_memory: 13GB}\n", "$.inference_compute_info.cpu_memory"),
    (MODEL + "inference_compute_info: {cpu_memory: 500m}\n", "$.inference_compute_info.cpu_memory"),
    (MODEL + "inference_compute_info: {num_accelerators: -1}\n", "$.inference_compute_info.num_accelerators"),
    (MODEL + "inference_compute_info: {num_accelerators: 2000}\n", "$.inference_compute_info.num_accelerators"),
    (MODEL + "inference_compute_info: {accelerator_type: [a b]}\n", "$.inference_compute_info.accelerator_type"),
    (MODEL + "compute: {num_gpus: 0}\n", "$.compute.num_gpus"),
    (MODEL + "build_info: {python_version: '3.7'}\n", "$.build_info.python_version"),
    (MODEL + "build_info: {python_version: 3}\n", "$.build_info.python_version"),
    (MODEL + "build_info: {platform: windows}\n", "$.build_info.platform"),
    (MODEL + "build_info: [3.11]\n", "$.build_info"),
    (MODEL + "checkpoints: {type: s3, repo_id: a/b}\n", "$.checkpoints.type"),
    (MODEL + "checkpoints: {type: huggingface}\n", "$.checkpoints"),
    (MODEL + "checkpoints: {repo_id: a/../b}\n", "$.checkpoints.repo_id"),
    (MODEL + "checkpoints: {repo_id: a/b, when: never}\n", "$.checkpoints.when"),
    (MODEL + "checkpoints: {repo_id: a/b, revision: a b}\n", "$.checkpoints.revision"),
    (MODEL + "concepts: [cat]\n", "$.concepts[0]"),
    (MODEL + "concepts: {id: a, name: b}\n", "$.concepts"),
    (MODEL + "concepts: [{id: a}]\n", "$.concepts[0]"),
    (MODEL + "concepts: [{id: a, name: ' '}]\n", "$.concepts[0].name"),
    (MODEL + "secrets: [{id: a}]\n", "$.secrets[0]"),
    (MODEL + "secrets: [{id: a, env_var: A, type: file}]\n", "$.secrets[0].type"),
    (MODEL + "secrets: [{id: a, env_var: LD_PRELOAD}]\n", "$.secrets[0].env_var"),
    (MODEL + "num_threads: many\n", "$.num_threads"),
    (MODEL + "num_threads: 0\n", "$.num_threads"),
    (MODEL + "num_threads: {a: 1}\n", "$.num_threads"),
    (MODEL + "batching: 32\n", "$.batching"),
    (MODEL + "batching: {max_wait_ms: 5}\n", "$.batching"),
    (MODEL + "batching: {max_size: 0}\n", "$.batching.max_size"),
    (MODEL + "batching: {max_size: 5000}\n", "$.batching.max_size"),
    (MODEL + "batching: {max_size: 8, max_wait_ms: 9000}\n", "$.batching.max_wait_ms"),
    (MODEL + "batching: {max_size: 8, max_wait_ms: 0.5}\n", "$.batching.max_wait_ms"),
]


def test_it_is_a_schema_and_older_editors_understand_it_as_well() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: "-".join(path.parts[-3:-1]))
def test_every_config_of_ours_is_right_for_both(path: Path) -> None:
    text = fill_in(path.read_text())
    load_config(text)
    assert complaints(text) == []


@pytest.mark.parametrize("text", ACCEPTED)
def test_what_the_checker_accepts_the_schema_accepts(text: str) -> None:
    load_config(text)
    assert complaints(text) == []


@pytest.mark.parametrize(("text", "place"), REFUSED)
def test_what_the_schema_refuses_the_checker_refuses(text: str, place: str) -> None:
    assert [one for one in complaints(text) if one.startswith(place)] or (text == "" and complaints("{}"))
    with pytest.raises(InvalidConfig):
        load_config(text)


@pytest.mark.parametrize("text", ["modle: {}\n", "concepts: [{id: a, name: b, nme: c}]\n", "compute: {size: 1}\n"])
def test_keys_that_are_only_warned_about_are_underlined_too(text: str) -> None:
    assert complaints(MODEL + text)
    assert "is not a key that is known here" in "".join(map(str, load_config(MODEL + text).warnings))


def test_python_3_10_without_quotes_is_underlined_since_editors_read_3_1() -> None:
    assert complaints(MODEL + "build_info: {python_version: 3.10}\n") == ["$.build_info.python_version"]


def list_keys(keys: Any) -> list[Key]:
    return [one for key in keys.values() for one in (key, *list_keys(key.keys))]


@pytest.mark.parametrize("key", list_keys(TOP), ids=lambda key: key.name)
def test_every_key_has_a_sentence_and_examples_that_are_right(key: Key) -> None:
    assert re.fullmatch(r"[A-Z0-9].*[.:]( .*\.)?", key.meaning)
    if key.kind in (Kind.TEXT, Kind.TEXTS):
        assert [one for one in (*key.examples, *key.suggested) if key.rule.complain(one)] == []


def test_the_installed_file_is_what_is_read() -> None:
    assert read_schema() == INSTALLED.read_bytes()
    assert b'"$schema"' in read_schema()


def test_a_config_gets_the_line_for_editors_once() -> None:
    added = add_schema_line(MODEL)
    assert added.splitlines() == [SCHEMA_LINE, MODEL.strip()]
    assert add_schema_line(added) == added
    assert (
        add_schema_line("#yaml-language-server: $schema=other.json\n") == "#yaml-language-server: $schema=other.json\n"
    )
    assert add_schema_line("\ufeffa: 1\r\n") == f"\ufeff{SCHEMA_LINE}\r\na: 1\r\n"
    load_config(added)
