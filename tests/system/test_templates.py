"""Every template of `modelyard init` runs as it is, in an environment of its own: what it answers is right."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

from modelyard.cli.main import cli
from modelyard.local.catalog import TEMPLATES, Template
from modelyard.parts.sample_inputs import SAMPLES
from support.server import CACHE

Outputs = list[dict[str, Any]]
GENERATES = {"text-to-text", "openai", "typed", "audio-to-text", "multimodal-to-text", "video-classifier"}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all templates: those with the same requirements share an environment."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def run(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    monkeypatch.setenv("MODELYARD_CACHE_DIR", str(cache))
    monkeypatch.setenv("UV_CACHE_DIR", str(CACHE / "uv"))

    def run_command(*arguments: str, is_fine: bool = True) -> dict[str, Any]:
        result = CliRunner().invoke(cli, [*arguments, "--json"], catch_exceptions=not is_fine)
        assert (result.exit_code == 0) == is_fine, result.output
        document: dict[str, Any] = json.loads(result.stdout)
        return document

    return run_command


def start(name: str, tmp_path: Path, run: Callable[..., dict[str, Any]]) -> Path:
    folder = tmp_path / name
    run("init", str(folder), "--template", name)
    assert run("check", str(folder))["warnings"] == []
    return folder


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
def test_a_template_runs_as_it_is(template: Template, tmp_path: Path, run: Callable[..., dict[str, Any]]) -> None:
    folder = start(template.name, tmp_path, run)
    report = run("run", str(folder))
    methods = {step["method"]: step for step in report["steps"]}
    assert {name for name, step in methods.items() if step["error"]} == set()
    own = {"keywords"} if template.name == "typed" else set()
    assert set(methods) - own == ({"predict", "generate", "stream"} if template.name in GENERATES else {"predict"})


def ask(name: str, tmp_path: Path, run: Callable[..., dict[str, Any]], *options: str) -> dict[str, Outputs]:
    """What each method of a template answers, as outputs: those of a stream, one after the other."""
    folder = start(name, tmp_path, run)
    report = run("run", str(folder), *(option.replace("samples/", f"{folder}/samples/") for option in options))
    return {
        step["method"]: [output for answer in step["answers"] for output in answer["outputs"]]
        for step in report["steps"]
    }


def name_concepts(data: dict[str, Any]) -> list[str]:
    return [concept["name"] for concept in data["concepts"]]


def test_the_image_classifier_tells_colours(tmp_path: Path, run: Callable[..., dict[str, Any]]) -> None:
    (output,) = ask("image-classifier", tmp_path, run, "--image", "samples/leaf.png")["predict"]
    assert name_concepts(output["data"])[:2] == ["white", "green"]


def test_the_image_detector_finds_what_stands_out(tmp_path: Path, run: Callable[..., dict[str, Any]]) -> None:
    (output,) = ask("image-detector", tmp_path, run, "--image", "samples/shapes.png")["predict"]
    found = [name_concepts(region["data"])[0] for region in output["data"]["regions"]]
    assert sorted(found) == ["dark thing", "dark thing", "light thing"]
    disc = output["data"]["regions"][1]["region_info"]["bounding_box"]
    assert {side: round(share, 1) for side, share in disc.items()} == {
        "top_row": 0.2, "left_col": 0.1, "bottom_row": 0.5, "right_col": 0.4
    }  # fmt: skip


def test_the_image_segmenter_parts_what_stands_out(tmp_path: Path, run: Callable[..., dict[str, Any]]) -> None:
    (output,) = ask("image-segmenter", tmp_path, run, "--image", "samples/shapes.png")["predict"]
    masks = {name_concepts(region["data"])[0]: open_mask(region) for region in output["data"]["regions"]}
    assert {name: mask.size for name, mask in masks.items()} == {"background": (160, 120), "foreground": (160, 120)}
    assert [masks["foreground"].getpixel(place) for place in ((38, 42), (118, 80), (80, 110))] == [255, 255, 0]


def open_mask(region: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(region["region_info"]["mask"]["image"]["base64"])))


def test_the_video_classifier_sees_movement_and_cuts(tmp_path: Path, run: Callable[..., dict[str, Any]]) -> None:
    answers = ask("video-classifier", tmp_path, run, "--video", "samples/clip.mp4")
    frames = answers["predict"][0]["data"]["frames"]
    seen = [name_concepts(frame["data"])[0] for frame in frames]
    assert seen == ["still"] * 5 + ["moving"] * 5 + ["cut"] + ["still"] * 4
    assert frames[10]["frame_info"]["time"] == "2000"  # as JSON writes wide numbers
    assert [output["data"]["frames"][0] for output in answers["generate"]] == frames


def test_the_language_model_streams_what_it_answers(tmp_path: Path, run: Callable[..., dict[str, Any]]) -> None:
    answers = ask("text-to-text", tmp_path, run, "--text", "Begin with a model")
    assert len(answers["generate"]) > 1
    assert answers["generate"][-1]["data"]["text"]["raw"] in ".?!"


def test_the_chat_speaks_the_form_that_it_is_spoken_to_in(tmp_path: Path, run: Callable[..., dict[str, Any]]) -> None:
    messages = [{"role": "user", "content": "I need a holiday"}]
    body = {"messages": messages, "temperature": 0, "stream_options": {"include_usage": True}}
    answers = ask("openai", tmp_path, run, "--text", json.dumps(body))
    completion = json.loads(answers["predict"][0]["data"]["text"]["raw"])
    assert completion["object"] == "chat.completion"
    assert completion["choices"][0]["message"] == {"role": "assistant", "content": "Why do you need a holiday?"}
    chunks = [json.loads(output["data"]["text"]["raw"]) for output in answers["generate"]]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    deltas = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks[:-1]]
    assert "".join(deltas) == "Why do you need a holiday?"
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"] == completion["usage"]


def test_the_text_classifier_tells_languages(tmp_path: Path, run: Callable[..., dict[str, Any]]) -> None:
    texts = {
        "English": "When does the shop close on Sundays?",
        "German": "Wann schließt der Laden am Sonntag?",
        "French": "À quelle heure ferme le magasin le dimanche ?",
        "Spanish": "¿A qué hora cierra la tienda los domingos?",
        "Italian": "A che ora chiude il negozio la domenica?",
    }
    options = [word for text in texts.values() for word in ("--text", text)]
    outputs = ask("text-classifier", tmp_path, run, *options)["predict"]
    assert [name_concepts(output["data"])[0] for output in outputs] == list(texts)


def test_the_text_embedder_puts_like_texts_near_each_other(tmp_path: Path, run: Callable[..., dict[str, Any]]) -> None:
    texts = ("the keeper lights the lamp", "keepers lighting lamps", "seven quick brown foxes")
    outputs = ask("text-embedder", tmp_path, run, *(word for text in texts for word in ("--text", text)))["predict"]
    first, second, third = (output["data"]["embeddings"][0]["vector"] for output in outputs)
    assert multiply(first, first) == pytest.approx(1, abs=1e-5)
    assert multiply(first, second) > multiply(first, third) + 0.2


def multiply(one: list[float], other: list[float]) -> float:
    return sum(left * right for left, right in zip(one, other, strict=True))


def test_the_transcriber_reads_morse_code(tmp_path: Path, run: Callable[..., dict[str, Any]]) -> None:
    answers = ask("audio-to-text", tmp_path, run, "--audio", "samples/hello.wav")
    assert answers["predict"][0]["data"]["text"]["raw"] == "HELLO WORLD"
    assert [output["data"]["text"]["raw"] for output in answers["generate"]] == ["HELLO", " WORLD"]
    times = answers["predict"][0]["data"]["time_segments"]
    assert [segment["data"]["text"]["raw"] for segment in times] == ["HELLO", "WORLD"]
    assert times[0]["time_info"]["end_time"] < times[1]["time_info"]["begin_time"]


def test_the_audio_classifier_tells_tones_from_noise(tmp_path: Path, run: Callable[..., dict[str, Any]]) -> None:
    (output,) = ask("audio-classifier", tmp_path, run, "--audio", "samples/tone-and-noise.wav")["predict"]
    values = {concept["name"]: concept["value"] for concept in output["data"]["concepts"]}
    assert values == {"tone": 0.5, "silence": 0.25, "noise": 0.25}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("image-classifier", "image"),
        ("image-detector", "image"),
        ("image-segmenter", "image"),
        ("video-classifier", "video"),
        ("audio-to-text", "audio"),
        ("audio-classifier", "audio"),
        ("multimodal-to-text", "image"),
    ],
)
def test_an_input_that_cannot_be_read_fails_alone(
    name: str, kind: str, tmp_path: Path, run: Callable[..., dict[str, Any]]
) -> None:
    folder = start(name, tmp_path, run)
    (tmp_path / "broken").write_bytes(b"this is none")
    good = next((folder / "samples").iterdir()) if name != "multimodal-to-text" else SAMPLES / "image.png"
    report = run("run", str(folder), f"--{kind}", str(tmp_path / "broken"), f"--{kind}", str(good), is_fine=False)
    broken, fine = report["steps"][0]["answers"][0]["outputs"]
    assert broken["status"]["code"] == "INPUT_UNSUPPORTED_FORMAT"
    assert f"the {kind} " in broken["status"]["description"]
    assert fine["status"]["code"] == "SUCCESS"
    assert fine["data"]


@pytest.mark.parametrize("name", ["image-classifier", "openai", "audio-to-text", "typed"])
def test_templates_survive_what_production_sends(name: str, tmp_path: Path, run: Callable[..., dict[str, Any]]) -> None:
    folder = start(name, tmp_path, run)
    run("run", str(folder), "--strict")
