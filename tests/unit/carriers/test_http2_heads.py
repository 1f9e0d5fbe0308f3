"""Headers of HTTP/2: what clients encode, and what they decode."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hpack import Decoder, Encoder, HPACKError
from hypothesis import example, given
from hypothesis import strategies as st

from modelyard.server.carriers.base import HEADER_BYTES, STREAM_PATHS
from modelyard.server.carriers.http.http2_frames import (
    COMPRESSION_ERROR,
    ENHANCE_YOUR_CALM,
    PROTOCOL_ERROR,
    Http2Error,
    pack_block,
)
from modelyard.server.carriers.http.http2_heads import KEPT_BLOCKS, Head, RequestHeads, encode_block, encode_fields
from support.h2peer import Fields, read_frames
from support.http2 import CONTINUATION, END_HEADERS, END_STREAM, HEADERS

BASE: Fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/p")]
REQUEST = b"\x83\x86\x84"
"""POST, http and a slash."""
TABLE_BYTES = 4096


def read(heads: RequestHeads, block: bytes) -> Head:
    """As a connection does."""
    return heads.known.get(block) or heads.read(block, 1)


def read_one(fields: Fields) -> Head:
    """A request that is the first of its connection."""
    return RequestHeads({"type": "http"}).read(Encoder().encode(fields), 1)


def fail(block: bytes) -> tuple[int, int]:
    """The code of the error, and its stream."""
    with pytest.raises(Http2Error) as error:
        RequestHeads({}).read(block, 7)
    return error.value.code, error.value.stream


# Requests.


def test_a_request_is_a_scope() -> None:
    head = read_one([
        (b":path", b"/a%20b/%C3%A4/%ff?c=%20d?e"), (b":method", b"GET"), (b":scheme", b"https"),
        (b":authority", b"h:1"), (b"x-a", b"1"), (b"host", b"other"), (b"x-a", b"2"),
    ])  # fmt: skip
    assert head.scope == {
        "type": "http",
        "method": "GET",
        "path": "/a b/ä/\N{REPLACEMENT CHARACTER}",
        "raw_path": b"/a%20b/%C3%A4/%ff",
        "query_string": b"c=%20d?e",
        "headers": [(b"host", b"h:1"), (b"x-a", b"1"), (b"x-a", b"2")],
        "extensions": {"http.response.trailers": {}},
    }
    assert (head.length, head.may_be_silent, head.expects_continue) == (None, False, False)


def test_a_host_stays_where_there_is_no_authority() -> None:
    assert read_one([*BASE, (b"host", b"h")]).scope["headers"] == [(b"host", b"h")]


def test_crumbs_of_a_cookie_are_joined() -> None:
    head = read_one([*BASE, (b"cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2"), (b"cookie", b"c")])
    assert head.scope["headers"] == [(b"x", b"y"), (b"cookie", b"a=1; b=2; c")]


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ((b"content-length", b"12"), (12, False, False)),
        ((b"content-type", b"application/grpc+proto"), (None, True, False)),
        ((b"expect", b"100-Continue"), (None, False, True)),
        ((b"te", b"trailers"), (None, False, False)),
    ],
)
def test_what_a_connection_has_to_know(extra: tuple[bytes, bytes], expected: tuple[Any, ...]) -> None:
    head = read_one([*BASE, extra])
    assert (head.length, head.may_be_silent, head.expects_continue) == expected
    assert head.scope["headers"] == [extra]


@pytest.mark.parametrize("path", STREAM_PATHS)
def test_streams_may_be_silent(path: str) -> None:
    assert read_one([(b":path", path.encode() + b"?a"), *BASE[:2]]).may_be_silent


def test_the_same_length_twice_is_one() -> None:
    assert read_one([*BASE, (b"content-length", b"5"), (b"content-length", b"5")]).length == 5


def test_every_server_has_options() -> None:
    assert read_one([(b":method", b"OPTIONS"), (b":path", b"*"), (b":scheme", b"http")]).scope["path"] == "*"


MALFORMED: list[Fields] = [
    [],
    BASE[:1],
    BASE[1:],
    [BASE[0], BASE[2]],
    BASE[:2],
    [*BASE[:2], (b":path", b"")],
    [*BASE[:2], (b":path", b"p")],
    [*BASE[:2], (b":path", b"*")],
    [*BASE[:2], (b":path", b"http://h/p")],
    [(b":method", b"CONNECT"), (b":authority", b"h:1")],
    [*BASE, BASE[0]],
    [*BASE, (b":status", b"200")],
    [*BASE, (b":protocol", b"websocket")],
    [*BASE, (b":", b"")],
    [BASE[0], (b"x", b"y"), *BASE[1:]],
    [BASE[0], (b"cookie", b"y"), *BASE[1:]],
    [*BASE, (b"Accept", b"x")],
    [*BASE, (b"", b"x")],
    [*BASE, (b"a b", b"x")],
    [*BASE, (b"a\r\nb", b"x")],
    [*BASE, (b"a:", b"x")],
    [*BASE, (b"\xe4", b"x")],
    [*BASE, (b"a", b"x\r\ny: z")],
    [*BASE, (b"a", b"x\ny")],
    [*BASE, (b"a", b"x\x00")],
    [*BASE[:2], (b":path", b"/\r\n")],
    [*BASE, (b":authority", b"h\x00")],
    [*BASE, (b"cookie", b"\n")],
    *([*BASE, (name, b"x")] for name in (b"connection", b"keep-alive", b"proxy-connection", b"upgrade")),
    [*BASE, (b"transfer-encoding", b"chunked")],
    [*BASE, (b"te", b"gzip")],
    [*BASE, (b"te", b"trailers, gzip")],
    [*BASE, (b"content-length", b"1"), (b"content-length", b"2")],
    *([*BASE, (b"content-length", value)] for value in (b"", b"-1", b"+1", b"1_0", b" 1", b"1, 1", b"0x1", b"\xb2")),
    [*BASE, (b"content-length", b"9" * 5000)],
]


@pytest.mark.parametrize("fields", MALFORMED)
def test_a_malformed_request_is_an_error_of_its_stream_alone(fields: Fields) -> None:
    assert fail(Encoder().encode(fields)) == (PROTOCOL_ERROR, 7)


def test_a_malformed_request_is_decoded_all_the_same() -> None:
    encoder, heads = Encoder(), RequestHeads({})
    for _ in range(2):
        block = encoder.encode([*BASE, (b"x-new", b"v"), (b"te", b"gzip")])
        assert heads.known.get(block) is None
        with pytest.raises(Http2Error):
            heads.read(block, 1)
    assert heads.read(encoder.encode([*BASE, (b"x-new", b"v")]), 1).scope["headers"] == [(b"x-new", b"v")]


# Compression.


@pytest.mark.parametrize(
    "fields",
    [
        [*BASE, (b"a", b"x" * HEADER_BYTES)],
        [*BASE, *[(b"a", b"x")] * 600],
        [*BASE[:2], (b":path", b"/" * HEADER_BYTES)],
    ],
)
def test_headers_that_are_too_large_end_the_connection(fields: Fields) -> None:
    assert fail(Encoder().encode(fields)) == (ENHANCE_YOUR_CALM, 0)


@pytest.mark.parametrize(
    "block",
    [
        b"\x80",
        b"\xff\xff\xff\xff\xff\x7f",
        b"\x40\x7fabc",
        b"\x40\x01a",
        b"\x40\x01a\x82\xff\xff",
        b"\x82\x20",
        b"\x3f\xff\xff\xff\x7f",
        b"\x7f",
        b"\x00",
    ],
)
def test_what_is_not_hpack_ends_the_connection(block: bytes) -> None:
    assert fail(block) == (COMPRESSION_ERROR, 0)


def test_an_error_does_not_repeat_what_was_sent() -> None:
    with pytest.raises(Http2Error) as error:
        RequestHeads({}).decode(b"\x00\x7f" + b"\xff" * 20 + b"Key secret")
    assert b"secret" not in error.value.text.encode()


NAMES = st.sampled_from([b"authorization", b"x-a", b"x-b", b"content-type", b"user-agent"])
LISTS = st.lists(st.tuples(NAMES, st.sampled_from([b"", b"1", b"Key abc", b"x" * 150, b"\xff\xfe"])), max_size=4)
SIZES = st.sampled_from([0, 40, 200, TABLE_BYTES])


@given(st.lists(st.tuples(LISTS, st.booleans(), st.none() | SIZES), max_size=25))
def test_every_block_means_what_it_means_to_any_decoder(requests: list[tuple[Fields, bool, int | None]]) -> None:
    encoder, plain, heads = Encoder(), Decoder(), RequestHeads({})
    for fields, huffman, size in requests:
        if size is not None:
            encoder.header_table_size = size
        block = encoder.encode([*BASE, *fields], huffman=huffman)
        expected = list(plain.decode(block, raw=True))[len(BASE) :]
        assert read(heads, block).scope["headers"] == expected == fields


NO_TABLE, WHOLE_TABLE, ADD, NEWEST = b"\x20", b"\x3f\xe1\x1f", b"\x40\x01a\x01b", b"\xbe"


@given(st.lists(st.sampled_from([NO_TABLE, WHOLE_TABLE, ADD, NEWEST]), max_size=12))
@example([WHOLE_TABLE, NO_TABLE, WHOLE_TABLE, ADD, NEWEST])
@example([ADD, NEWEST, NO_TABLE, NEWEST])
def test_blocks_of_one_step_mean_what_they_mean_to_any_decoder(steps: list[bytes]) -> None:
    plain, heads = Decoder(), RequestHeads({})
    for step in steps:
        block = step + REQUEST if step in (NO_TABLE, WHOLE_TABLE) else REQUEST + step
        try:
            expected = list(plain.decode(block, raw=True))[3:]
        except HPACKError:
            with pytest.raises(Http2Error):
                read(heads, block)
            return
        assert read(heads, block).scope["headers"] == expected


def test_a_block_that_comes_again_is_not_decoded_again() -> None:
    encoder, heads = Encoder(), RequestHeads({})
    encoder.encode([])
    first = heads.read(encoder.encode([*BASE, (b"x", b"y")]), 1)
    again = encoder.encode([*BASE, (b"x", b"y")])
    assert heads.known.get(again) is None
    second = heads.read(again, 1)
    assert heads.known.get(again) is second
    assert second == first


def test_few_blocks_are_known() -> None:
    heads = RequestHeads({})
    blocks = [REQUEST + b"\x00\x01a\x01" + bytes([0x41 + number]) for number in range(KEPT_BLOCKS + 1)]
    for block in blocks:
        heads.read(block, 1)
    assert sum(heads.known.get(block) is not None for block in blocks) <= KEPT_BLOCKS
    assert heads.known.get(blocks[-1]) is not None


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_junk_is_an_error_or_a_list(blocks: list[bytes]) -> None:
    heads = RequestHeads({})
    with suppress(Http2Error):
        for block in blocks:
            read(heads, REQUEST + block)


# Answers.

LINES = st.binary(max_size=300).map(lambda value: value.translate(None, b"\0\r\n"))


@given(
    st.sampled_from([100, 200, 204, 206, 304, 400, 404, 500, 503, 599]),
    st.lists(st.tuples(NAMES | st.just(b"X-Upper"), LINES), max_size=6),
)
def test_clients_decode_what_is_answered(status: int, headers: Fields) -> None:
    decoded = list(Decoder().decode(encode_block(status, headers), raw=True))
    assert decoded == [(b":status", b"%d" % status), *((name.lower(), value) for name, value in headers)]


@pytest.mark.parametrize("size", [0, 126, 127, 128, 254, 255, 16_383, 16_384, 16_511, 70_000])
@pytest.mark.parametrize("max_frame", [16_384, 20_000])
def test_long_headers_go_on_in_other_frames(size: int, max_frame: int) -> None:
    block = encode_fields([(b"n" * 130, b"v" * size)])
    frames = list(read_frames(pack_block(block, END_STREAM, 5, max_frame)))
    kinds = [kind for kind, _, _, _ in frames]
    assert kinds == [HEADERS] + [CONTINUATION] * (len(frames) - 1)
    assert [bool(flags & END_HEADERS) for _, flags, _, _ in frames] == [False] * (len(frames) - 1) + [True]
    assert [bool(flags & END_STREAM) for _, flags, _, _ in frames] == [True] + [False] * (len(frames) - 1)
    assert {number for _, _, number, _ in frames} == {5}
    assert max(len(payload) for _, _, _, payload in frames) <= max_frame
    whole = b"".join(payload for _, _, _, payload in frames)
    assert list(Decoder(1 << 20).decode(whole, raw=True)) == [(b"n" * 130, b"v" * size)]


def test_headers_of_one_connection_alone_are_not_answered() -> None:
    names = [b"Connection", b"keep-alive", b"transfer-encoding", b"Upgrade", b"proxy-connection", b"a"]
    for _ in range(2):
        assert list(Decoder().decode(encode_fields([(name, b"x") for name in names]), raw=True)) == [(b"a", b"x")]


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b":status", b"a\n", b"\xe4"])
def test_a_name_that_no_header_may_have_is_not_answered(name: bytes) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="is no name of a header"):
            encode_fields([(name, b"x")])


def test_an_application_that_makes_names_up_fills_no_memory() -> None:
    for number in range(2000):
        name = b"x-%d" % number
        assert list(Decoder().decode(encode_fields([(name, b"v")]), raw=True)) == [(name, b"v")]


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"\n", b"\0"])
def test_a_value_of_an_answer_that_breaks_the_line_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match="line break"):
        encode_fields([(b"x-name", value)])
