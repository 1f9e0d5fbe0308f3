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


def test_a_mask_is_told_by_its_size() -> None:
    region = {"region_info": {"mask": {"image": {"base64": b"12345"}}}, "data": {"concepts": [{"id": "sky"}]}}
    assert list(describe(Data(regions=[region]))) == ["region with a mask of 5 bytes sky 0.000"]


def test_frames_and_moments_have_a_line_each() -> None:
    concepts = [{"name": f"{number}", "value": number / 10} for number in range(7)]
    frame = {"frame_info": {"index": 4, "time": 160}, "data": {"concepts": concepts}}
    moment = {"time_info": {"begin_time": 80, "end_time": 2040}, "data": {"text": {"raw": "hello"}}}
    assert list(describe(Data(frames=[frame], time_segments=[moment]))) == [
        "frame 4 at 0.160 s: 6 0.600, 5 0.500, 4 0.400, 3 0.300, 2 0.200",
        "0.080 to 2.040 s: hello",
    ]


def test_pieces_of_a_text_stay_together(capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("hello", " world"):
        data = {"text": {"raw": word}, "time_segments": [{"time_info": {"end_time": 5}}]}
        print_answer(MultiOutputResponse(outputs=[Output(data=data)]), is_piece=True)
    assert capsys.readouterr().out == "hello world"


def test_an_embedding_is_summed_up() -> None:
    told = next(describe(Data(embeddings=[{"vector": [0.5] * 700}])))
    assert told == "embedding of 700 numbers: 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, ..."


def test_media_are_told_by_their_size_and_never_printed() -> None:
    assert list(describe(Data(image={"base64": b"12345"}, video={"url": "https://host/v.mp4"}))) == [
        "image of 5 bytes",
        "video of 0 bytes https://host/v.mp4",
    ]


def test_what_has_no_words_of_its_own_is_shown_as_json() -> None:
    assert list(describe(Data(clusters=[{"id": "a"}]))) == ["clusters: {'id': 'a'}"]


def test_values_of_typed_methods_are_shown_as_they_are() -> None:
    parts = [
        {"id": "label", "data": {"string_value": "cat"}},
        {"id": "sure", "data": {"float_value": 0.5}},
        {"data": {"struct_value": {"a": True}}},
        {"id": "none"},
    ]
    assert list(describe(Data(parts=parts))) == ["label: cat", "sure: 0.5", '- {"a": true}', "none: empty"]


def test_the_result_of_a_typed_method_is_shown_like_that_of_others(capsys: pytest.CaptureFixture[str]) -> None:
    for value in ({"string_value": "hello"}, {"int_value": 3}, {"concepts": [{"name": "cat", "value": 1.0}]}):
        print_answer(MultiOutputResponse(outputs=[Output(data={"parts": [{"id": "return", "data": value}]})]))
    shown = capsys.readouterr().out.splitlines()
    assert shown[:2] == ["hello", "3"]
    assert "cat" in "".join(shown[2:])
