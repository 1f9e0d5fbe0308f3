"""Frames of HTTP/2, however a client cuts them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.server.carriers.base import FRAME_BYTES, HEADER_BYTES
from modelyard.server.carriers.http.http2_frames import (
    ENHANCE_YOUR_CALM,
    FRAME_SIZE_ERROR,
    PROTOCOL_ERROR,
    Http2Error,
)
from modelyard.server.carriers.http.http2_reader import MAX_CONTINUATIONS, FrameReader
from support.h2peer import PADDED, frame, padded
from support.http2 import CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, SETTINGS

PRIORITISED = 0x20
RESERVED = 1 << 31
FULL = bytes(range(256)) * 64


@dataclass
class Heard:
    """What a reader said, in pieces of bodies that are joined as long as they go on."""

    said: list[Any] = field(default_factory=list)
    takes_requests: bool = field(default=True, compare=False)

    def on_request(self, number: int, block: bytes, body: bytes) -> bool:
        assert isinstance(block, bytes)
        if self.takes_requests:
            self.on_block(number, block, ends=False)
            self.on_data(number, body, len(body), ends=True)
        return self.takes_requests

    def on_block(self, number: int, block: bytes, *, ends: bool) -> None:
        self.said.append(("block", number, block, ends))

    def on_data(self, number: int, piece: bytes, counted: int, *, ends: bool, goes_on: bool = False) -> None:
        assert isinstance(piece, bytes)
        assert counted >= len(piece)
        last = self.said[-1] if self.said else ()
        if last[:2] == ("data", number) and not last[4]:
            self.said[-1] = ("data", number, last[2] + piece, last[3] + counted, ends)
        else:
            self.said.append(("data", number, piece, counted, ends))

    def on_frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        self.said.append((kind, flags, number, payload))


@dataclass
class Sent:
    """Frames as bytes, and what a reader should say of them."""

    data: bytes
    tell: Any


def make_data(number: int, body: bytes, padding: int | None, times: int, ends: bool) -> Sent:
    """The same frame several times; the last may end the request."""
    counted = len(body) + (0 if padding is None else 1 + padding)

    def encode(flags: int) -> bytes:
        named = number | (RESERVED if len(body) % 2 else 0)
        return frame(DATA, flags, named, body) if padding is None else padded(flags, named, body, padding)

    def tell(heard: Heard) -> None:
        for left in reversed(range(times)):
            heard.on_data(number, body, counted, ends=ends and not left)

    return Sent(encode(0) * (times - 1) + encode(END_STREAM if ends else 0), tell)


def make_block(number: int, block: bytes, cuts: list[int], padding: int | None, priority: bytes, ends: bool) -> Sent:
    edges = [0, *sorted(cut % (len(block) + 1) for cut in cuts), len(block)]
    first, *others = [block[start:end] for start, end in pairwise(edges)]
    flags = (END_STREAM if ends else 0) | (PRIORITISED if priority else 0) | (0 if others else END_HEADERS)
    first = priority + first
    data = frame(HEADERS, flags, number, first) if padding is None else padded(flags, number, first, padding, HEADERS)
    for left, piece in zip(reversed(range(len(others))), others, strict=True):
        data += frame(CONTINUATION, 0 if left else END_HEADERS, number, piece)
    return Sent(data, lambda heard: heard.on_block(number, block, ends=ends))


def make_request(number: int, block: bytes, body: bytes) -> Sent:
    """Head and body, a frame each."""
    head, data = make_block(number, block, [], None, b"", ends=False), make_data(number, body, None, 1, ends=True)

    def tell(heard: Heard) -> None:
        head.tell(heard)
        data.tell(heard)

    return Sent(head.data + data.data, tell)


def make_other(kind: int, flags: int, number: int, payload: bytes) -> Sent:
    return Sent(frame(kind, flags, number, payload), lambda heard: heard.on_frame(kind, flags, number, payload))


NUMBERS = st.integers(0, 3)
PADDING = st.none() | st.integers(0, 255)
BODIES = st.binary(max_size=40) | st.sampled_from([FULL[:-1], FULL, FULL + b"x", FULL * 3])
FRAMES = st.one_of(
    st.builds(make_data, NUMBERS, BODIES, PADDING, st.integers(1, 2), st.booleans()),
    st.builds(make_data, st.integers(1, 2), st.just(FULL), st.none(), st.integers(2, 5), st.booleans()),
    st.builds(make_data, st.just(1), st.just(FULL[:-1]), st.just(0), st.integers(2, 3), st.booleans()),
    st.builds(
        make_block,
        NUMBERS,
        st.binary(max_size=60),
        st.lists(st.integers(0, 60), max_size=4),
        PADDING,
        st.sampled_from([b"", b"\x00\x00\x00\x01\x10"]),
        st.booleans(),
    ),
    st.builds(make_request, NUMBERS, st.binary(max_size=60), BODIES),
    st.builds(
        make_other, st.integers(2, 8) | st.integers(10, 255), st.integers(0, 255), NUMBERS, st.binary(max_size=20)
    ),
)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def read(pieces: list[bytes], *, from_buffer: bool = False, takes_requests: bool = True) -> Heard:
    heard = Heard(takes_requests=takes_requests)
    reader = FrameReader(heard)
    for piece in pieces:
        if from_buffer:
            buffer = bytearray(piece)
            reader.feed(memoryview(buffer))
            buffer[:] = b"\xff" * len(buffer)
        else:
            reader.feed(piece)
    assert not reader.is_inside
    return heard


@given(st.lists(FRAMES, max_size=8), st.lists(st.integers(0, 300_000) | st.integers(0, 40), max_size=12), st.booleans())
def test_frames_are_the_same_however_they_are_cut(frames: list[Sent], cuts: list[int], from_buffer: bool) -> None:
    expected = Heard()
    for one in frames:
        one.tell(expected)
    data = b"".join(one.data for one in frames)
    assert read(split(data, cuts), from_buffer=from_buffer) == expected
    for takes_requests in (True, False):
        assert read([data], from_buffer=from_buffer, takes_requests=takes_requests) == expected


@given(st.lists(FRAMES.filter(lambda sent: len(sent.data) < 400), max_size=6))
def test_frames_may_come_byte_by_byte(frames: list[Sent]) -> None:
    data = b"".join(one.data for one in frames)
    assert read([data[at : at + 1] for at in range(len(data))], from_buffer=True) == read([data])


def test_frames_of_one_body_are_told_together() -> None:
    counted = []

    class Counting(Heard):
        def on_data(self, number: int, piece: bytes, counted_: int, **flags: bool) -> None:
            counted.append((number, counted_, flags["ends"], flags["goes_on"]))

    frames = frame(DATA, 0, 1, FULL) * 3 + frame(DATA, 0, 1, b"rest") + frame(DATA, 0, 3, FULL)
    frames += frame(DATA, END_STREAM, 3, FULL) + frame(DATA, 0, 5, FULL + b"more")
    reader = FrameReader(Counting())
    reader.feed(memoryview(frames)[:-1])
    reader.feed(memoryview(frames)[-1:])
    size = len(FULL)
    assert counted == [
        (1, 3 * size + 4, False, False),
        (3, 2 * size, True, True),
        (5, size + 3, False, True),
        (5, 1, False, False),
    ]


def test_progress_is_counted_by_frames_and_whole_blocks() -> None:
    reader = FrameReader(Heard())
    reader.feed(frame(PING, payload=bytes(8)) + frame(DATA, 0, 1, b"a") + frame(DATA, 0, 1, FULL) * 3)
    assert (reader.progress, reader.is_inside) == (5, False)
    reader.feed(frame(HEADERS, 0, 1, b"a") + frame(CONTINUATION, 0, 1, b"b"))
    assert (reader.progress, reader.is_inside) == (5, True)
    reader.feed(frame(CONTINUATION, END_HEADERS, 1, b"c") + b"\x00")
    assert (reader.progress, reader.is_inside) == (6, True)


def test_a_body_that_has_not_ended_is_not_something_that_drips() -> None:
    reader = FrameReader(Heard())
    reader.feed(frame(DATA, 0, 1, b"abcdef")[:-3])
    assert not reader.is_inside


def test_nothing_is_read_behind_an_end() -> None:
    class Ending(Heard):
        def on_frame(self, *seen: Any) -> None:
            super().on_frame(*seen)
            reader.is_stopped = True

    heard = Ending()
    reader = FrameReader(heard)
    reader.feed(frame(PING) + frame(PING))
    reader.feed(frame(PING))
    assert len(heard.said) == 1


OPEN = frame(HEADERS, 0, 1, b"a")
LARGEST = frame(HEADERS, 0, 1, bytes(HEADER_BYTES))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(DATA, 0, 1, bytes(FRAME_BYTES + 1)), FRAME_SIZE_ERROR),
        (frame(HEADERS, END_HEADERS, 1, bytes(HEADER_BYTES + 1)), FRAME_SIZE_ERROR),
        (frame(200, 0, 0, bytes(HEADER_BYTES + 1)), FRAME_SIZE_ERROR),
        (frame(DATA, PADDED, 1, b"\x01"), PROTOCOL_ERROR),
        (frame(DATA, PADDED, 1, b"\xff" + bytes(200)), PROTOCOL_ERROR),
        (frame(DATA, PADDED, 1) + frame(PING), PROTOCOL_ERROR),
        (frame(HEADERS, PADDED | END_HEADERS, 1), FRAME_SIZE_ERROR),
        (frame(HEADERS, PADDED | END_HEADERS, 1, b"\x01"), PROTOCOL_ERROR),
        (frame(HEADERS, PRIORITISED | END_HEADERS, 1, b"\x01"), PROTOCOL_ERROR),
        (frame(HEADERS, PADDED | PRIORITISED | END_HEADERS, 1, b"\x01" + bytes(5)), PROTOCOL_ERROR),
        (frame(CONTINUATION, END_HEADERS, 1), PROTOCOL_ERROR),
        (OPEN + frame(CONTINUATION, END_HEADERS, 3), PROTOCOL_ERROR),
        (OPEN + frame(DATA, 0, 1), PROTOCOL_ERROR),
        (OPEN + frame(SETTINGS), PROTOCOL_ERROR),
        (OPEN + OPEN, PROTOCOL_ERROR),
        (LARGEST + frame(CONTINUATION, END_HEADERS, 1, b"x"), ENHANCE_YOUR_CALM),
        (OPEN + frame(CONTINUATION, 0, 1) * (MAX_CONTINUATIONS + 1), ENHANCE_YOUR_CALM),
    ],
)
@pytest.mark.parametrize("is_whole", [True, False])
def test_a_broken_rule_is_an_error(data: bytes, code: int, is_whole: bool) -> None:
    heard = Heard()
    with pytest.raises(Http2Error) as error:
        read([data] if is_whole else [data[at : at + 7] for at in range(0, len(data), 7)])
    assert (error.value.code, error.value.stream, heard.said) == (code, 0, [])


def test_the_largest_of_everything_is_read() -> None:
    data = frame(DATA, 0, 1, bytes(FRAME_BYTES))
    data += LARGEST + frame(CONTINUATION, 0, 1) * (MAX_CONTINUATIONS - 1) + frame(CONTINUATION, END_HEADERS, 1)
    assert [one[0] for one in read([data]).said] == ["data", "block"]


@given(st.lists(st.binary(max_size=60) | FRAMES.map(lambda sent: sent.data[:200]), max_size=8))
def test_junk_is_an_error_or_nothing(pieces: list[bytes]) -> None:
    reader = FrameReader(Heard())
    with suppress(Http2Error):
        for piece in pieces:
            reader.feed(memoryview(bytearray(piece)))
