"""The folders of `modelyard init --checkpoint` run through transformers, on tiny checkpoints of a hub of the tests."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from modelyard.cli.main import cli
from modelyard.parts.environment import Environments
from support.examples import EXAMPLES, LAB, RUN_CACHE
from support.hub import serve_hub
from support.server import CACHE

REQUIREMENTS = (EXAMPLES / "llm" / "requirements.txt").read_text()
"""Pinned, as a template's are not: the newest torch brings gigabytes of its own for GPUs."""
PYTHON = "3.11"
Outputs = list[dict[str, Any]]
Ask = Callable[..., dict[str, Outputs]]


@pytest.fixture(scope="module", autouse=True)
def _hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tiny checkpoints, which a hub has as `tiny/NAME`. All folders share the environment of the examples."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_CACHE_DIR", str(CACHE / "uv"))
        patch.setenv("MODELYARD_CACHE_DIR", str(RUN_CACHE))
        with serve_hub(make_checkpoints(tmp_path_factory.mktemp("tiny"))) as hub:
            patch.setenv("HF_ENDPOINT", hub.url)
            yield


def make_checkpoints(folder: Path) -> dict[str, dict[str, bytes]]:
    environments = Environments(RUN_CACHE / "environments")
    environment = environments.install(environments.lock(REQUIREMENTS, PYTHON, print), print)
    environ = {**os.environ, "PYTHONPYCACHEPREFIX": str(RUN_CACHE / "bytecode")}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [str(environment.python), str(LAB / "template_checkpoints.py"), str(folder)]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {f"tiny/{one.name}": read_files(one) for one in folder.iterdir()}


def read_files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Start a folder, run it, and return what each method answers, as outputs: those of a stream, one after another."""

    def run_template(template: str, *options: str, checkpoint: str = "", is_fine: bool = True) -> dict[str, Outputs]:
        folder = tmp_path / template
        run("init", str(folder), "--template", template, "--checkpoint", f"tiny/{checkpoint or template}")
        (folder / "requirements.txt").write_text(REQUIREMENTS)
        placed = (option.replace("samples/", f"{folder}/samples/") for option in options)
        report = run("run", str(folder), *placed, is_fine=is_fine)
        return {
            step["method"]: [output for answer in step["answers"] for output in answer["outputs"]]
            for step in report["steps"]
        }

    return run_template


def run(*arguments: str, is_fine: bool = True) -> dict[str, Any]:
    result = CliRunner().invoke(cli, [*arguments, "--json"], catch_exceptions=not is_fine)
    assert (result.exit_code == 0) == is_fine, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def read_texts(outputs: Outputs) -> list[str]:
    return [output["data"].get("text", {}).get("raw", "") for output in outputs]


def test_an_image_classifier_answers_the_labels_of_its_checkpoint(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "broken").write_bytes(b"this is none")
    options = ("--image", "samples/leaf.png", "--image", str(tmp_path / "broken"))
    fine, broken = ask("image-classifier", *options, is_fine=False)["predict"]
    concepts = fine["data"]["concepts"]
    assert {(concept["id"], concept["name"]) for concept in concepts} == {("0", "normal"), ("1", "nsfw")}
    assert sum(concept["value"] for concept in concepts) == pytest.approx(1, abs=1e-4)
    assert broken["status"]["code"] == "INPUT_UNSUPPORTED_FORMAT"


def test_an_image_detector_answers_boxes_and_each_image_has_its_own(ask: Ask) -> None:
    picture = ("--image", "samples/shapes.png")
    first, second = ask("image-detector", *picture, *picture)["predict"]
    values = [region["value"] for region in first["data"]["regions"]]
    assert values == sorted(values, reverse=True)
    assert min(values) >= 0.5
    for region in first["data"]["regions"]:
        box = region["region_info"]["bounding_box"]
        assert 0 <= box.get("top_row", 0) <= box["bottom_row"] <= 1
        assert 0 <= box.get("left_col", 0) <= box["right_col"] <= 1
    assert len(second["data"]["regions"]) == len(values)


def test_a_text_classifier_answers_the_labels_of_its_checkpoint(ask: Ask) -> None:
    outputs = ask("text-classifier", "--text", "The boats come home.", "--text", "1234567890")["predict"]
    named = [{concept["name"] for concept in output["data"]["concepts"]} for output in outputs]
    assert named == [{"NEGATIVE", "POSITIVE"}] * 2


def test_a_text_has_the_same_vector_alone_and_among_others(ask: Ask) -> None:
    long = "The keeper of the light writes the name of every boat in a book. " * 20
    texts = ("boats", "boats", long)
    one, same, other = (
        output["data"]["embeddings"][0]["vector"]
        for output in ask("text-embedder", *(word for text in texts for word in ("--text", text)))["predict"]
    )
    assert one == pytest.approx(same, abs=1e-5)
    assert sum(number * number for number in one) == pytest.approx(1, abs=1e-4)
    assert one != pytest.approx(other, abs=1e-2)


def test_a_language_model_streams_letters_that_are_whole(ask: Ask) -> None:
    answers = ask("text-to-text", "--text", "The keeper", "--text", "Boats")
    pieces = read_texts(answers["generate"])
    assert len(pieces) > 10
    assert not any("�" in piece for piece in pieces)


def test_speech_recognition_writes_and_streams(ask: Ask) -> None:
    answers = ask("audio-to-text", "--audio", "samples/hello.wav")
    assert read_texts(answers["predict"])[0]
    assert "".join(read_texts(answers["generate"])) == read_texts(answers["predict"])[0]


def test_speech_recognition_takes_models_that_spell(ask: Ask) -> None:
    answers = ask("audio-to-text", "--audio", "samples/hello.wav", checkpoint="speller")
    assert "".join(read_texts(answers["generate"])) == read_texts(answers["predict"])[0] != ""
