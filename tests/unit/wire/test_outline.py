"""Outlines of large requests: the request as it parses, without its large values of bytes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.wire.messages import Data, DecodeError, PostModelOutputsRequest
from modelyard.wire.outline import LARGE_BYTES, MAX_DEPTH, MAX_FIELDS, complete, make_outline
from modelyard.wire.pieces import Pieces

SIZES = st.sampled_from([0, 1, 200, LARGE_BYTES - 1, LARGE_BYTES, LARGE_BYTES + 1, 3 * LARGE_BYTES])
BYTES = SIZES.map(lambda size: b"\x0a" * size)
TEXTS = SIZES.map(lambda size: "é" * (size // 2))
TYPE: Any = PostModelOutputsRequest.DESCRIPTOR


def image(content: bytes) -> Data:
    data = Data()
    data.image.base64, data.image.url = content, "http://x/"
    return data


def text(content: str) -> Data:
    data = Data()
    data.text.raw = content
    return data


def several(items: list[Data]) -> Data:
    data = Data()
    for one in items:
        data.parts.add(id="p").data.CopyFrom(one)
    return data


DATA = st.recursive(
    st.one_of(
        BYTES.map(image),
        TEXTS.map(text),
        BYTES.map(lambda content: Data(bytes_value=content)),
        BYTES.map(lambda content: Data(int_value=len(content), string_value="s")),
    ),
    lambda inner: st.lists(inner, max_size=3).map(several),
    max_leaves=5,
)


@st.composite
def requests(draw: st.DrawFn) -> PostModelOutputsRequest:
    request = PostModelOutputsRequest(model_id=draw(st.sampled_from(["", "m"])))
    for one in draw(st.lists(DATA, min_size=1, max_size=3)):
        request.inputs.add(id="i").data.CopyFrom(one)
    if draw(st.booleans()):
        request.model.model_version.output_info.params.update({"temperature": 0.5, "list": [1, "x" * draw(SIZES)]})
    return request


@st.composite
def cut(draw: st.DrawFn, raw: bytes) -> Pieces:
    places = sorted(set(draw(st.lists(st.integers(1, max(1, len(raw) - 1)), max_size=5))))
    parts = [raw[start:end] for start, end in zip([0, *places], [*places, len(raw)], strict=True)]
    return Pieces([memoryview(part) if draw(st.booleans()) else part for part in parts if part])


def strip(message: Any) -> None:
    """Empty every large value of bytes."""
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            is_map = field.message_type.GetOptions().map_entry
            for one in () if is_map else value if field.is_repeated else (value,):
                strip(one)
        elif field.type == field.TYPE_BYTES and len(value) >= LARGE_BYTES:
            setattr(message, field.name, b"")


@given(st.data(), requests())
def test_an_outline_lacks_the_large_bytes(data: st.DataObject, request: PostModelOutputsRequest) -> None:
    raw = request.SerializeToString()
    pieces = data.draw(cut(raw))
    outline = make_outline(TYPE, pieces)
    assert outline is not None
    found = PostModelOutputsRequest.FromString(outline)
    assert complete(found, pieces) == request
    strip(request)
    assert found == request


@given(st.data(), requests())
def test_damage_is_found_in_an_outline_too(data: st.DataObject, request: PostModelOutputsRequest) -> None:
    """Damage near the beginning, where the fields are told."""
    raw = bytearray(request.SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, min(60, len(raw) - 1)))
        raw[place] = data.draw(st.integers(0, 255))
    damaged = bytes(raw[: data.draw(st.sampled_from([len(raw), len(raw) - 1, len(raw) // 2]))])
    outline = make_outline(TYPE, Pieces([damaged]))
    assert outline is None or parses(outline) == parses(damaged)


def parses(raw: bytes) -> bool:
    try:
        PostModelOutputsRequest.FromString(raw)
    except DecodeError:
        return False
    return True


def test_the_outline_of_a_large_image_is_small() -> None:
    request = PostModelOutputsRequest(model_id="m")
    request.inputs.add().data.image.base64 = bytes(1 << 22)
    raw = request.SerializeToString()
    outline = make_outline(TYPE, Pieces([raw[:70_000], raw[70_000:]]))
    assert outline is not None
    assert len(outline) < 20


@pytest.mark.parametrize("fields", [MAX_FIELDS - 10, 2 * MAX_FIELDS])
def test_many_fields_are_parsed_sooner_than_walked_through(fields: int) -> None:
    request = PostModelOutputsRequest()
    for _ in range(fields):
        request.inputs.add(id="i")
    request.inputs.add().data.image.base64 = bytes(LARGE_BYTES)
    assert (make_outline(TYPE, Pieces([request.SerializeToString()])) is None) == (fields > MAX_FIELDS)


@pytest.mark.parametrize("depth", [MAX_DEPTH // 2 - 2, MAX_DEPTH])
def test_depth_is_bounded(depth: int) -> None:
    data = image(bytes(LARGE_BYTES))
    for _ in range(depth):
        data = several([data])
    request = PostModelOutputsRequest()
    request.inputs.add().data.CopyFrom(data)
    assert (make_outline(TYPE, Pieces([request.SerializeToString()])) is None) == (depth >= MAX_DEPTH // 2)


def test_a_small_message_is_complete() -> None:
    request = PostModelOutputsRequest(model_id="m")
    assert complete(request, None) is request
    assert complete(request, b"other") is request
