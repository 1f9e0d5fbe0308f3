"""The gRPC door's own parsing under any bytes: splits, compression, lying prefixes, timeouts, headers."""

from __future__ import annotations

import asyncio
import base64
import gzip
import zlib
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelyard.errors import InvalidRequest, TooLarge
from modelyard.server.api.asgi import make_app
from modelyard.server.api.grpc.framing import JOINED_BYTES, MessageReader
from modelyard.server.api.grpc.metadata import parse_timeout, status_headers
from modelyard.wire.messages import PostModelOutputsRequest
from modelyard.wire.pieces import Payload, Pieces, join
from support.doors import EchoHandlers, frame, grpc_exchange, http_exchange, make_v2

MAX_BYTES = 2000
COMPRESS = {"identity": lambda data: data, "gzip": gzip.compress, "deflate": zlib.compress}
PAYLOADS = st.lists(st.tuples(st.binary(max_size=600), st.booleans()), max_size=6)
UNITS_S = {"H": 3600, "M": 60, "S": 1, "m": 1e-3, "u": 1e-6, "n": 1e-9}


def split(data: st.DataObject, stream: bytes) -> list[bytes]:
    """Any pieces that make up the stream, empty ones among them."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    return [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


def take_all(reader: MessageReader, chunks: list[bytes]) -> list[bytes]:
    return [join(one) for one in take_payloads(reader, chunks)]


def take_payloads(reader: MessageReader, chunks: list[bytes]) -> list[Payload]:
    async def take() -> list[Payload]:
        found = []
        for chunk in chunks:
            reader.feed(chunk)
            while (message := await reader.take()) is not None:
                found.append(message)
        return found

    return asyncio.run(take())


@given(payloads=PAYLOADS, encoding=st.sampled_from(["gzip", "deflate"]), data=st.data())
def test_any_split_gives_the_same_messages(
    payloads: list[tuple[bytes, bool]], encoding: str, data: st.DataObject
) -> None:
    stream = b"".join(
        frame(COMPRESS[encoding](one) if is_compressed else one, flag=int(is_compressed))
        for one, is_compressed in payloads
    )
    reader = MessageReader(encoding, MAX_BYTES)
    assert take_all(reader, split(data, stream)) == [one for one, _ in payloads]
    assert reader.is_between_messages


@given(sizes=st.lists(st.sampled_from([5, JOINED_BYTES, JOINED_BYTES + 1, 500_000]), max_size=3), data=st.data())
def test_large_messages_come_in_the_pieces_that_they_came_in(sizes: list[int], data: st.DataObject) -> None:
    messages = [bytes([size % 251]) * size for size in sizes]
    chunks = split(data, b"".join(map(frame, messages)))
    found = take_payloads(MessageReader("identity", 1_000_000), chunks)
    assert [join(one) for one in found] == messages
    for one in found:
        if isinstance(one, Pieces):
            assert len(one) > JOINED_BYTES
            assert all(len(part) for part in one.parts)


def test_crumbs_of_a_large_message_are_joined() -> None:
    stream = frame(b"x" * 300_000)
    (found,) = take_payloads(MessageReader("identity", 400_000), [stream[at : at + 50] for at in range(0, 300_005, 50)])
    assert found == b"x" * 300_000


@given(noise=st.binary(max_size=300), encoding=st.sampled_from(["identity", "gzip", "deflate"]), data=st.data())
def test_noise_is_messages_or_our_errors(noise: bytes, encoding: str, data: st.DataObject) -> None:
    try:
        found = take_all(MessageReader(encoding, MAX_BYTES), split(data, noise))
    except (InvalidRequest, TooLarge):
        return
    assert sum(map(len, found)) <= MAX_BYTES * max(1, len(found))


@given(size=st.integers(MAX_BYTES + 1, 10_000_000), encoding=st.sampled_from(["gzip", "deflate"]))
@example(size=10_000_000, encoding="gzip")
def test_small_message_never_becomes_a_large_one(size: int, encoding: str) -> None:
    reader = MessageReader(encoding, MAX_BYTES)
    bomb = COMPRESS[encoding](bytes(size))
    with pytest.raises(TooLarge):
        take_all(reader, [frame(bomb, flag=1)])


@given(claimed=st.integers(0, 2**32 - 1), real=st.binary(max_size=100))
def test_prefix_that_lies_is_never_believed(claimed: int, real: bytes) -> None:
    reader = MessageReader("identity", MAX_BYTES)
    stream = [b"\x00" + claimed.to_bytes(4, "big") + real[:claimed]]
    if claimed > MAX_BYTES:
        with pytest.raises(TooLarge):
            take_all(reader, stream)
    elif claimed > len(real):
        assert take_all(reader, stream) == []
        assert not reader.is_between_messages
    else:
        assert take_all(reader, stream) == [real[:claimed]]


@given(digits=st.integers(0, 99_999_999), unit=st.sampled_from(list(UNITS_S)), width=st.integers(1, 8))
def test_timeouts_of_the_grammar_are_read(digits: int, unit: str, width: int) -> None:
    text = f"{digits:0{width}}{unit}"
    assert parse_timeout(text.encode()) == pytest.approx(digits * UNITS_S[unit])


@given(text=st.one_of(st.binary(max_size=12), st.from_regex(rb"[0-9]{0,10}[HMSmunhs ]{0,2}", fullmatch=True)))
def test_other_timeouts_are_refused(text: bytes) -> None:
    is_right = 2 <= len(text) <= 9 and set(text[:-1]) <= set(b"0123456789") and text[-1:].decode("latin-1") in UNITS_S
    if is_right:
        parse_timeout(text)
    else:
        with pytest.raises(InvalidRequest):
            parse_timeout(text)


@given(message=st.text(max_size=200))
def test_message_of_a_status_is_plain_in_the_header_and_whole_after_it(message: str) -> None:
    headers = dict(status_headers(13, message))
    told = headers.get(b"grpc-message", b"")
    assert all(0x20 <= code < 0x7F for code in told)
    assert unquote(told.decode("ascii")) == message.encode("utf-8", "replace").decode()


HEADERS = st.dictionaries(
    st.sampled_from(["grpc-timeout", "grpc-encoding", "authorization", "x-clarifai-request-id-prefix"]),
    st.one_of(
        st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20),
        st.sampled_from(["gzip", "identity", "deflate", "1S", "99999999H", "0n", "Key all", "Bearer all"]),
    ),
)


NAMES = ("PostModelOutputs", "GenerateModelOutputs", "StreamModelOutputs", "ListStatusCodes", "Nothing")


async def ask(name: str, chunks: list[bytes], headers: dict[str, str]) -> dict[bytes, bytes]:
    exchange = grpc_exchange(name, chunks, headers)
    exchange.disconnect()  # who has said all and waits for nothing more may be gone
    await exchange.run(make_app(make_v2(EchoHandlers()), is_ready=lambda: True))
    return exchange.trailers if exchange.sent else {}


@given(
    name=st.sampled_from(
        ["PostModelOutputs", "GenerateModelOutputs", "StreamModelOutputs", "ListStatusCodes", "Nothing"]
    ),
    body=st.one_of(
        st.binary(max_size=100),
        st.binary(max_size=60).map(frame),
        st.lists(st.text(max_size=5), max_size=3).map(lambda texts: b"".join(frame(request_of(one)) for one in texts)),
    ),
    headers=HEADERS,
    data=st.data(),
)
def test_any_body_gets_a_status_and_never_a_fault(
    name: str, body: bytes, headers: dict[str, str], data: st.DataObject
) -> None:
    trailers = asyncio.run(ask(name, split(data, body), headers))
    assert b"fault" not in trailers.get(b"grpc-message", b"")
    if trailers:
        assert trailers[b"grpc-status"].isdigit()


def request_of(text: str) -> PostModelOutputsRequest:
    request = PostModelOutputsRequest(model_id="m")
    request.inputs.add().data.text.raw = text
    return request


@given(texts=st.lists(st.text(max_size=30), min_size=1, max_size=3), data=st.data())
def test_base64_of_grpc_web_may_be_padded_and_cut_anywhere(texts: list[str], data: st.DataObject) -> None:
    request = PostModelOutputsRequest(model_id="m")
    for one in texts:
        request.inputs.add().data.text.raw = one
    text = b"".join(base64.b64encode(piece) for piece in split(data, frame(request)))

    async def talk() -> bytes:
        exchange = http_exchange(
            "POST",
            "/clarifai.api.V2/PostModelOutputs",
            split(data, text),
            {"content-type": "application/grpc-web-text"},
        )
        await exchange.run(make_app(make_v2(EchoHandlers()), is_ready=lambda: True))
        return b"".join(base64.b64decode(event.get("body", b"")) for event in exchange.sent[1:])

    answer = asyncio.run(talk())
    assert b"grpc-status: 0" in answer
    assert all(one.encode() in answer for one in texts)
