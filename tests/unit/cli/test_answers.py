"""Answers as people read them."""

from __future__ import annotations

import pytest

from modelyard.cli.answers import describe, print_answer
from modelyard.wire.messages import Data, MultiOutputResponse, Output


def test_the_best_concepts_come_first_and_the_rest_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    concepts = [{"id": str(number), "name": f"name-{number}", "value": number / 20} for number in range(12)]
    print_answer(MultiOutputResponse(outputs=[Output(data={"concepts": concepts})]))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["concept", "value"]
    assert lines[1].split()[:2] == ["name-11", "0.5500"]
    assert lines[-1] == "and 2 more"


def test_a_region_tells_its_box_and_its_names() -> None:
    box = {"top_row": 0.1, "left_col": 0.2, "bottom_row": 0.3, "right_col": 0.4}
    region = {"region_info": {"bounding_box": box}, "data": {"concepts": [{"id": "cat", "value": 0.9}]}}
    assert list(describe(Data(regions=[region]))) == ["region top=0.100 left=0.200 bottom=0.300 right=0.400 cat 0.900"]


def test_an_embedding_is_summed_up() -> None:
    told = next(describe(Data(embeddings=[{"vector": [0.5] * 700}])))
    assert told == "embedding of 700 numbers: 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, ..."


def test_media_are_told_by_their_size_and_never_printed() -> None:
    assert list(describe(Data(image={"base64": b"12345"}, video={"url": "https://host/v.mp4"}))) == [
        "image of 5 bytes",
        "video of 0 bytes https://host/v.mp4",
    ]


def test_what_has_no_words_of_its_own_is_shown_as_json() -> None:
    assert list(describe(Data(parts=[{"id": "a"}]))) == ["parts: {'id': 'a'}"]
