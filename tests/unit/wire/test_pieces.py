from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.wire.frames import LARGE_BYTES, Frame, FrameDecoder, Kind, encode_parts
from modelyard.wire.pieces import Pieces, join

PARTS = st.lists(st.one_of(st.binary(min_size=1, max_size=9), st.binary(min_size=1, max_size=9).map(memoryview)))


@given(PARTS, st.integers(0, 50), st.integers(0, 50))
def test_cuts_are_those_of_the_joined_bytes(parts: list[bytes | memoryview], start: int, end: int) -> None:
    pieces, joined = Pieces(parts), b"".join(parts)
    assert len(pieces) == len(joined)
    assert pieces.join() == join(pieces) == join(joined) == joined
    assert pieces.cut(start, end) == joined[start:end]
    assert [pieces[place] for place in range(len(joined))] == list(joined)
    with pytest.raises(IndexError):
        pieces[len(joined)]


@given(PARTS, st.binary(max_size=5))
def test_a_head_goes_in_front(parts: list[bytes | memoryview], head: bytes) -> None:
    assert Pieces(parts).behind(head).join() == head + b"".join(parts)


@given(st.lists(st.sampled_from([1, 100, LARGE_BYTES, LARGE_BYTES + 1]), max_size=4))
def test_pieces_travel_as_one_frame(sizes: list[int]) -> None:
    pieces = Pieces([bytes(size) for size in sizes])
    parts = encode_parts(Kind.REQUEST, 7, pieces, 3, time_left=5)
    assert FrameDecoder().feed(b"".join(parts)) == [Frame(Kind.REQUEST, 3, 7, pieces.join(), 5)]
