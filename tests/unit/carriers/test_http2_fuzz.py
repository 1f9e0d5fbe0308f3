"""Sessions of HTTP/2 with something wrong in them: they end, or go on, and leave nothing behind."""

from __future__ import annotations

import asyncio
from typing import Any

from hpack import Encoder
from hypothesis import given
from hypothesis import strategies as st

from support.apps import PATHS, read_some
from support.h2peer import Peer, frame, padded
from support.http2 import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
)

STREAMS = st.integers(0, 5)
WINDOWS = st.sampled_from([0, 1, 1000, 65_535, (1 << 31) - 1])
MOVES = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(PATHS), st.booleans(), st.booleans()),
    st.tuples(st.just("data"), STREAMS, st.sampled_from([0, 1, 100, 16_384, 70_000]), st.booleans()),
    st.tuples(st.just("padded"), STREAMS, st.integers(0, 100), st.booleans()),
    st.tuples(st.just("trailers"), STREAMS),
    st.tuples(st.just("reset"), STREAMS),
    st.tuples(st.just("window"), STREAMS, WINDOWS),
    st.tuples(st.just("initial"), WINDOWS),
    st.tuples(st.sampled_from(["ping", "pong", "ack", "priority", "unknown", "goaway", "grant"])),
)
MUTATIONS = st.one_of(
    st.tuples(st.sampled_from(["drop", "repeat", "swap"]), st.integers(0, 100)),
    st.tuples(st.just("flip"), st.integers(0, 100), st.integers(0, 12), st.integers(1, 255)),
    st.tuples(st.just("flip"), st.integers(0, 100), st.integers(9, 100), st.integers(1, 255)),
    st.tuples(st.just("cut"), st.integers(0, 100), st.integers(0, 30)),
)


class Session:
    """What a well-behaved client might send."""

    def __init__(self) -> None:
        self._encoder = Encoder()
        self._opened: list[int] = []

    def encode(self, move: tuple[Any, ...]) -> list[bytes]:
        """The frames of a move."""
        name, *options = move
        if name == "ask":
            return self._ask(*options)
        if name in ("data", "padded", "trailers", "reset", "window"):
            return self._go_on(name, *options) if self._opened else []
        plain = {
            "ping": frame(PING, 0, 0, b"12345678"),
            "pong": frame(PING, ACK, 0, b"drain..."),
            "ack": frame(SETTINGS, ACK),
            "priority": frame(PRIORITY, 0, 7, bytes(5)),
            "unknown": frame(99, 255, 3, b"abc"),
            "goaway": frame(7, 0, 0, bytes(8)),
            "grant": frame(WINDOW_UPDATE, 0, 0, b"\x00\x01\x00\x00"),
            "initial": frame(SETTINGS, 0, 0, b"\x00\x04" + (options or [0])[0].to_bytes(4, "big")),
        }
        return [plain[name]]

    def _ask(self, path: str, ends: bool, is_cut: bool) -> list[bytes]:
        self._opened.append(2 * len(self._opened) + 1)
        fields = [(":method", "POST"), (":scheme", "http"), (":path", path), ("x-a", path), ("expect", "100-continue")]
        block = self._encoder.encode(fields)
        flags = END_STREAM if ends else 0
        if not is_cut:
            return [frame(HEADERS, flags | END_HEADERS, self._opened[-1], block)]
        rest = frame(CONTINUATION, END_HEADERS, self._opened[-1], block[3:])
        return [frame(HEADERS, flags, self._opened[-1], block[:3]), rest]

    def _go_on(self, name: str, index: int, *options: Any) -> list[bytes]:
        number = self._opened[-1 - index % len(self._opened)]
        match name, options:
            case "data", (size, ends):
                return [frame(DATA, END_STREAM if ends else 0, number, bytes(size))]
            case "padded", (size, ends):
                return [padded(END_STREAM if ends else 0, number, bytes(size), size)]
            case "trailers", ():
                return [frame(HEADERS, END_HEADERS | END_STREAM, number, self._encoder.encode([("x", "y")]))]
            case "reset", ():
                return [frame(RST_STREAM, 0, number, bytes(4))]
            case _:
                return [frame(WINDOW_UPDATE, 0, number, options[0].to_bytes(4, "big"))]


def mutate(frames: list[bytes], mutation: tuple[Any, ...]) -> None:
    """Spoil one of them."""
    if not frames:
        return
    name, at, *options = mutation
    at %= len(frames)
    match name, options:
        case "drop", []:
            del frames[at]
        case "repeat", []:
            frames.insert(at, frames[at])
        case "swap", []:
            frames[at], frames[-1] = frames[-1], frames[at]
        case "flip", [place, bits] if place < len(frames[at]):
            spoilt = bytearray(frames[at])
            spoilt[place] ^= bits
            frames[at] = bytes(spoilt)
        case "cut", [place]:
            frames[at] = frames[at][:place]


@given(
    st.lists(MOVES, max_size=25),
    st.lists(MUTATIONS, max_size=3),
    st.lists(st.sampled_from(["turn", "rest", "stall", "read"]), max_size=40),
    st.integers(1, 200),
)
def test_a_session_that_goes_wrong_leaves_nothing_behind(
    moves: list[tuple[Any, ...]], mutations: list[tuple[Any, ...]], breaks: list[str], size: int
) -> None:
    session = Session()
    frames = [one for move in moves for one in session.encode(move)]
    for mutation in mutations:
        mutate(frames, mutation)
    asyncio.run(play(frames, breaks, size))


@given(st.lists(st.binary(max_size=100), max_size=10))
def test_junk_leaves_nothing_behind(pieces: list[bytes]) -> None:
    asyncio.run(play(pieces, [], 1000))


async def play(frames: list[bytes], breaks: list[str], size: int) -> None:
    peer = Peer(read_some)
    for index, data in enumerate(frames):
        first = len(data) // 2 if index % 3 == 0 else 0
        for piece in (data[:first], data[first:]):
            peer.feed(piece)
        match breaks[index % len(breaks)] if breaks else "":
            case "turn":
                await peer.turn()
            case "rest":
                await peer.turn(size % 5)
                peer.look(size)
            case "stall":
                peer.wire.is_read = False
            case "read":
                peer.wire.is_read = True
                assert all(kind <= 9 for kind, _, _, _ in peer.read())
    peer.wire.abort()
    await peer.until(lambda: not peer.connection.requests and not peer.tasks)
    await peer.close()
