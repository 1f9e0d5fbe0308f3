"""Marks that stand for large values: what is taken out of a message and put in again is the same message."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.wire.marks import MARK_BYTES, make_mark, put_values, read_mark, take_values
from modelyard.wire.messages import PostModelOutputsRequest
from modelyard.wire.outline import LARGE_BYTES, MAX_FIELDS

TYPE: Any = PostModelOutputsRequest.DESCRIPTOR
SIZES = st.sampled_from([0, 1, 127, 128, LARGE_BYTES - 1, LARGE_BYTES, LARGE_BYTES + 1, 5 * LARGE_BYTES])


def make_request(sizes: list[int]) -> PostModelOutputsRequest:
    request = PostModelOutputsRequest(model_id="m")
    for number, size in enumerate(sizes):
        data = request.inputs.add(id=f"input {number}").data
        data.image.base64 = bytes([number % 100]) * size
        data.parts.add(id="part").data.bytes_value = bytes([number % 100 + 100]) * size
        data.text.raw = "x" * size
    return request


@given(st.lists(SIZES, max_size=4))
def test_values_that_are_taken_and_put_make_the_same_message(sizes: list[int]) -> None:
    request = make_request(sizes)
    raw = request.SerializeToString()
    marked, values = take_values(TYPE, raw)
    assert [len(value) for value in values] == [size for size in sizes if size >= LARGE_BYTES for _ in range(2)]
    assert len(PostModelOutputsRequest.FromString(marked).inputs) == len(sizes)
    pieces = put_values(TYPE, marked, [bytes(value) for value in values])
    assert pieces is not None
    assert PostModelOutputsRequest.FromString(pieces.join()) == request


@pytest.mark.parametrize("number", [0, 1, 255, 256, 2**24 - 1])
def test_marks_are_told_apart(number: int) -> None:
    assert read_mark(make_mark(number)) == number
    assert len(make_mark(number)) == MARK_BYTES


def test_a_message_without_an_outline_keeps_its_values() -> None:
    request = make_request([LARGE_BYTES] + [0] * MAX_FIELDS)
    raw = request.SerializeToString()
    assert take_values(TYPE, raw) == (raw, [])


@pytest.mark.parametrize("place", ["lost", "text", "longer"])
def test_what_has_no_mark_of_its_own_is_told(place: str) -> None:
    """Who asks has to read all of it then."""
    request = make_request([1])
    if place == "text":
        request.inputs[0].data.text.raw = "\0" * 3 + make_mark(0).decode("latin1")
    elif place == "longer":
        request.inputs[0].data.image.base64 = make_mark(0) + b"x"
    assert put_values(TYPE, request.SerializeToString(), [b"value"]) is None
