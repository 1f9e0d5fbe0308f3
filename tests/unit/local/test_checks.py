"""Answers against what the model's type and its concepts promise."""

from __future__ import annotations

from typing import Any

import pytest

from modelyard.config.schema import ConceptInfo
from modelyard.local.checks import Finding, check_answers
from modelyard.parts.sample_inputs import SAMPLES
from modelyard.wire.messages import MultiOutputResponse

CONCEPTS = (ConceptInfo(id="0", name="cat"), ConceptInfo(id="1", name="dog"))
BOX = {"top_row": 0.1, "left_col": 0.1, "bottom_row": 0.5, "right_col": 0.5}


def check(
    *outputs: Any, type_id: str = "text-to-text", method: str = "predict", inputs: int = 1
) -> tuple[Finding, ...]:
    answer = MultiOutputResponse(outputs=[{"data": data} for data in outputs])
    return check_answers([answer], method=method, model_type_id=type_id, concepts=CONCEPTS, inputs=inputs)


def region(concept: Any = None, **sides: float) -> dict[str, Any]:
    box = {**BOX, **sides}
    return {
        "regions": [
            {"region_info": {"bounding_box": box}, "data": {"concepts": [concept or {"id": "0", "value": 0.9}]}}
        ]
    }


@pytest.mark.parametrize(
    ("type_id", "data"),
    [
        ("text-to-text", {"text": {"raw": "hello"}}),
        ("image-classifier", {"concepts": [{"id": "0", "name": "cat", "value": 1.0}, {"name": "dog", "value": 0.0}]}),
        ("image-detector", region()),
        ("image-detector", {"frames": [{"data": region()}]}),
        ("text-embedder", {"embeddings": [{"vector": [0.1, -0.2]}]}),
        ("text-to-image", {"image": {"base64": (SAMPLES / "image.png").read_bytes()}}),
        ("text-to-audio", {"audio": {"base64": (SAMPLES / "audio.wav").read_bytes()}}),
        ("image-to-video", {"video": {"base64": (SAMPLES / "video.mp4").read_bytes()}}),
        ("of-ones-own", {}),
    ],
)
def test_an_answer_that_keeps_its_promises_has_no_findings(type_id: str, data: Any) -> None:
    assert check(data, type_id=type_id) == ()


@pytest.mark.parametrize(
    ("type_id", "data", "where", "words"),
    [
        ("text-to-text", {"concepts": [{"id": "0", "value": 0.5}]}, "data.text", "no output has text"),
        ("image-classifier", {"concepts": [{"id": "7", "value": 0.5}]}, "concepts[0].id", "'7' is none of the 2"),
        ("image-classifier", {"concepts": [{"id": "cat", "value": 0.5}]}, "concepts[0].id", "did you mean '0'"),
        (
            "image-classifier",
            {"concepts": [{"name": "cow", "value": 0.5}]},
            "concepts[0].name",
            "allowed are 'cat', 'dog'",
        ),
        ("image-classifier", {"concepts": [{"value": 0.5}]}, "concepts[0]", "neither id nor name"),
        ("image-classifier", {"concepts": [{"id": "0", "value": 12.5}]}, "concepts[0].value", "softmax"),
        ("image-classifier", {"concepts": [{"id": "0", "value": float("nan")}]}, "concepts[0].value", "nan"),
        ("image-detector", region(bottom_row=240.0), "regions[0].region_info.bounding_box", "bottom_row 240"),
        ("image-detector", region(top_row=0.9), "regions[0].region_info.bounding_box", "top has to be above bottom"),
        (
            "image-detector",
            {"frames": [{"data": region(concept={"id": "9"})}]},
            "frames[0].data.regions[0]",
            "'9' is none",
        ),
        ("text-embedder", {"embeddings": [{"vector": []}]}, "embeddings[0].vector", "empty"),
        ("text-embedder", {"embeddings": [{"vector": [float("inf")]}]}, "embeddings[0].vector", "not finite"),
        ("text-to-image", {"image": {"base64": b"RIFF1234WAVEfmt "}}, "data.image", "wav, which is audio"),
        ("text-to-image", {"image": {"base64": b"not an image"}}, "data.image", "begin like no image"),
    ],
)
def test_what_breaks_the_contract_is_an_error_with_its_place(type_id: str, data: Any, where: str, words: str) -> None:
    found = [one for one in check(data, type_id=type_id) if one.is_error]
    assert len(found) == 1
    assert where in found[0].where
    assert words in str(found[0])


@pytest.mark.parametrize(
    ("type_id", "data", "words"),
    [
        ("image-detector", {}, "no output has regions"),
        ("text-to-text", {"text": {"raw": ""}}, "the text is empty"),
        ("text-embedder", {"embeddings": [{"vector": [0.0, 0.0]}]}, "all of its numbers are 0"),
        ("image-classifier", {"image": {"base64": b"raw pixels"}}, "begin like no image"),
    ],
)
def test_what_is_only_unusual_is_no_error(type_id: str, data: Any, words: str) -> None:
    data = {"text": {"raw": ""}} if "text" in data else data
    found = check(data, type_id=type_id)
    assert any(words in str(one) for one in found)
    assert not any(one.is_error for one in found if words in str(one))


def test_there_is_one_output_for_each_input() -> None:
    found = check({"text": {"raw": "a"}}, inputs=3)
    assert [one.problem for one in found] == ["1 outputs for 3 inputs; there has to be one for each, in order"]


def test_embeddings_have_one_dimension() -> None:
    found = check(
        {"embeddings": [{"vector": [1.0]}]}, {"embeddings": [{"vector": [1.0, 2.0]}]}, type_id="text-embedder", inputs=2
    )
    assert [one.problem for one in found] == ["vectors of 1 and 2 numbers; all need the same dimension"]


def test_a_stream_is_judged_as_a_whole() -> None:
    pieces = [MultiOutputResponse(outputs=[{"data": {"text": {"raw": text}}}]) for text in ("", "a", "")]
    assert check_answers(pieces, method="generate", model_type_id="text-to-text", concepts=(), inputs=1) == ()


def test_a_stream_without_answers_is_an_error() -> None:
    found = check_answers([], method="generate", model_type_id="text-to-text", concepts=(), inputs=1)
    assert [(one.is_error, one.problem) for one in found] == [(True, "it gave no answer at all")]


def test_outputs_that_failed_are_not_judged() -> None:
    answer = MultiOutputResponse(outputs=[{"status": {"code": 10020}}])
    assert check_answers([answer], method="predict", model_type_id="text-to-text", concepts=(), inputs=1) == ()
