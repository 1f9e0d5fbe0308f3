from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.errors import InternalError, TooLarge
from modelyard.wire.frames import (
    BUFFER_BYTES,
    HEADER,
    HEADER_BYTES,
    LARGE_BYTES,
    SHARED,
    Frame,
    FrameDecoder,
    Kind,
    cost_of,
    decode_credit,
    decode_time,
    encode_credit,
    encode_frame,
    encode_parts,
    encode_time,
)

KINDS = st.sampled_from(list(Kind))
FRAMES = st.builds(
    Frame,
    kind=KINDS,
    flags=st.integers(0, 255),
    request_id=st.integers(0, 2**64 - 1),
    payload=st.one_of(
        st.binary(max_size=64),
        st.integers(0, 400).map(lambda size: bytes(range(256)) * size),
    ),
    time_left=st.integers(0, 2**16 - 1),
)


@given(st.floats(0, 130_000))
def test_time_left_survives_the_header_and_is_never_cut(seconds: float) -> None:
    """A worker that drops a request too early would break a promise; a thousandth too late breaks none."""
    (parts,) = encode_parts(Kind.REQUEST, 1, b"x", time_left=encode_time(seconds))
    (frame,) = FrameDecoder().feed(parts)
    told = decode_time(frame.time_left)
    assert told is not None
    assert seconds <= told <= seconds * 1.001 + 0.002


def test_no_limit_is_told_as_none_and_the_longest_is_a_day_and_a_half() -> None:
    assert decode_time(encode_time(None)) is None
    assert decode_time(encode_time(1e9)) == decode_time(encode_time(140_000)) == 4095 * 2**15 / 1000


def test_large_frames_carry_their_time_too() -> None:
    parts = encode_parts(Kind.REQUEST, 1, b"x" * (LARGE_BYTES + 1), time_left=encode_time(2.0))
    (frame,) = FrameDecoder().feed(b"".join(parts))
    assert decode_time(frame.time_left) == 2.0


def encode_all(frames: list[Frame]) -> bytes:
    return b"".join(
        part
        for one in frames
        for part in encode_parts(one.kind, one.request_id, one.payload, one.flags, time_left=one.time_left)
    )


@settings(max_examples=150, deadline=None)
@given(
    frames=st.lists(FRAMES, max_size=8), data=st.data(), buffer_bytes=st.sampled_from([16, 64, 100, 1 << 12, 1 << 18])
)
def test_any_split_of_the_bytes_gives_the_same_frames(
    frames: list[Frame], data: st.DataObject, buffer_bytes: int
) -> None:
    stream = encode_all(frames)
    decoder = FrameDecoder(buffer_bytes=buffer_bytes)
    decoder.fetch = bytes  # what is said to lie elsewhere lies where it says so
    got: list[Frame] = []
    position = 0
    while position < len(stream):
        size = data.draw(st.one_of(st.integers(1, 40), st.integers(1, len(stream))))
        got += decoder.feed(stream[position : position + size])
        position += size
    assert got == frames
    assert decoder.is_between_frames


@settings(max_examples=200, deadline=None)
@given(noise=st.binary(max_size=200))
def test_noise_gives_frames_or_our_errors_and_never_another(noise: bytes) -> None:
    decoder = FrameDecoder(max_payload_bytes=1000)
    try:
        decoder.feed(noise)
    except (InternalError, TooLarge):
        return


def test_bytes_one_by_one_through_a_frame_that_fills_half_the_buffer() -> None:
    frames = [Frame(Kind.ITEM, 0, number, bytes([number]) * LARGE_BYTES) for number in range(3)]
    stream = encode_all(frames)
    decoder = FrameDecoder()
    got = [frame for position in range(len(stream)) for frame in decoder.feed(stream[position : position + 1])]
    assert got == frames


def test_large_payload_is_received_in_place() -> None:
    payload = b"x" * (3 * BUFFER_BYTES)
    decoder = FrameDecoder()
    decoder.feed(encode_frame(Kind.REQUEST, 7, payload)[: HEADER_BYTES + 10])
    room = decoder.writable()
    assert len(room) == len(payload) - 10
    room[:] = payload[10:]
    size = len(room)
    del room
    (frame,) = decoder.advance(size)
    assert frame.payload == payload
    assert type(frame.payload) is bytes


def test_payload_above_the_limit_is_refused_at_its_header() -> None:
    decoder = FrameDecoder(max_payload_bytes=10)
    assert decoder.feed(encode_frame(Kind.ITEM, 1, b"0123456789"))[0].payload == b"0123456789"
    with pytest.raises(TooLarge, match="11 bytes is above the limit of 10 bytes"):
        decoder.feed(HEADER.pack(11, Kind.ITEM, 0, 0, 1))


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(InternalError, match="unknown kind 99"):
        FrameDecoder().feed(HEADER.pack(0, 99, 0, 0, 1))


def test_beginning_of_a_frame_is_not_between_frames() -> None:
    decoder = FrameDecoder()
    decoder.feed(encode_frame(Kind.END)[:5])
    assert not decoder.is_between_frames


def test_small_frames_are_one_piece_and_large_payloads_are_not_copied() -> None:
    assert encode_parts(Kind.ITEM, 3, b"abc", 2) == (encode_frame(Kind.ITEM, 3, b"abc", 2),)
    payload = bytes(LARGE_BYTES + 1)
    header, body = encode_parts(Kind.ITEM, 3, payload)
    assert body is payload
    assert len(header) == HEADER_BYTES


def test_what_is_above_the_limit_cannot_be_encoded() -> None:
    with pytest.raises(TooLarge):
        encode_parts(Kind.ITEM, 1, bytes(LARGE_BYTES + 1), max_payload_bytes=LARGE_BYTES)


def test_credit_survives_the_way() -> None:
    (frame,) = FrameDecoder().feed(encode_credit(5, 32))
    assert (frame.kind, frame.request_id, decode_credit(frame.payload)) == (Kind.CREDIT, 5, 32)
    with pytest.raises(InternalError):
        decode_credit(b"")


@pytest.mark.parametrize(("size", "cost"), [(0, 1), (100, 1), ((1 << 17) - 1, 1), (1 << 17, 2), (1 << 20, 9)])
def test_message_costs_one_and_one_more_for_each_128_kib(size: int, cost: int) -> None:
    assert cost_of(size) == cost


def test_message_that_is_said_to_lie_elsewhere_is_fetched_and_refused_where_nothing_is_shared() -> None:
    sent = encode_frame(Kind.ITEM, 1, b"place", SHARED)
    decoder = FrameDecoder()
    decoder.fetch = {b"place": b"message"}.__getitem__
    assert decoder.feed(sent) == [Frame(Kind.ITEM, SHARED, 1, b"message")]
    with pytest.raises(InternalError, match="no memory is shared"):
        FrameDecoder().feed(sent)
