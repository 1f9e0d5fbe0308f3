"""The gRPC door without a network: framing, statuses, deadlines, cancellation."""

from __future__ import annotations

import asyncio
import gzip
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelyard.server.api.asgi import make_app
from modelyard.server.api.grpc import compression
from modelyard.server.api.grpc.door import GrpcDoor
from modelyard.server.threads import in_thread
from modelyard.wire.messages import MultiOutputResponse, PostModelOutputsRequest, StatusCode
from support.doors import AsgiExchange, EchoHandlers, eventually, frame, grpc_exchange, make_v2, split_frames


def request_of(*texts: str) -> PostModelOutputsRequest:
    request = PostModelOutputsRequest(model_id="m")
    request.user_app_id.app_id = "main"
    for text in texts:
        request.inputs.add().data.text.raw = text
    return request


def texts_of(exchange: AsgiExchange) -> list[str]:
    answers = [MultiOutputResponse.FromString(one) for one in split_frames(exchange.body)]
    return [output.data.text.raw for answer in answers for output in answer.outputs]


def codes_of(exchange: AsgiExchange) -> list[int]:
    return [MultiOutputResponse.FromString(one).status.code for one in split_frames(exchange.body)]


def app_of(echo: EchoHandlers | None = None):
    return make_app(make_v2(echo or EchoHandlers()), is_ready=lambda: True)


async def test_unary_echo() -> None:
    exchange = await grpc_exchange("PostModelOutputs", [frame(request_of("hi"))]).run(app_of())
    assert exchange.status == 200
    assert exchange.headers[b"content-type"] == b"application/grpc"
    assert texts_of(exchange) == ["hi"]
    assert codes_of(exchange) == [StatusCode.SUCCESS]
    assert exchange.trailers == {b"grpc-status": b"0"}
    assert [event["type"] for event in exchange.sent] == [
        "http.response.start",
        "http.response.body",
        "http.response.trailers",
    ]


async def test_bytes_reply_passes_untouched() -> None:
    exchange = await grpc_exchange("PostModelOutputs", [frame(request_of("bytes"))]).run(app_of())
    assert codes_of(exchange) == [0]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 40), max_size=30), st.booleans(), st.booleans())
def test_any_split_of_the_bytes_gives_the_same_answer(sizes: list[int], is_gzip: bool, has_empty: bool) -> None:
    message = request_of("a" * 30, "b")
    payload = message.SerializeToString()
    whole = frame(gzip.compress(payload), flag=1) if is_gzip else frame(payload)
    chunks, start = [], 0
    for size in sizes:
        chunks.append(whole[start : start + size])
        if has_empty:
            chunks.append(b"")
        start += size
    chunks.append(whole[start:])
    exchange = grpc_exchange("PostModelOutputs", chunks, {"grpc-encoding": "gzip"} if is_gzip else {})
    asyncio.run(exchange.run(app_of()))
    assert texts_of(exchange) == ["a" * 30, "b"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=8), st.lists(st.integers(1, 50), min_size=1, max_size=12))
def test_any_split_of_a_stream_gives_the_same_messages(lengths: list[int], cuts: list[int]) -> None:
    texts = [str(number) * length for number, length in enumerate(lengths)]
    whole = b"".join(frame(request_of(text)) for text in texts)
    chunks, start, turn = [], 0, 0
    while start < len(whole):
        size = cuts[turn % len(cuts)]
        chunks.append(whole[start : start + size])
        start, turn = start + size, turn + 1
    exchange = grpc_exchange("StreamModelOutputs", chunks)
    asyncio.run(exchange.run(app_of()))
    assert texts_of(exchange) == texts
    assert exchange.trailers == {b"grpc-status": b"0"}


async def test_empty_message_is_a_message() -> None:
    exchange = await grpc_exchange("PostModelOutputs", [frame(b"")]).run(app_of())
    assert codes_of(exchange) == [StatusCode.SUCCESS]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", b"12"),
        (frame(request_of("a")) * 2, b"12"),
        (b"\x00\x00\x00", b"13"),
        (frame(request_of("a"))[:-1], b"13"),
        (frame(b"\xff\xff\xff"), b"13"),
        (frame(b"x", flag=7), b"13"),
        (frame(b"x", flag=1), b"13"),
        (b"\x00\xff\xff\xff\xff", b"8"),
    ],
    ids=["none", "two", "half a prefix", "cut", "not the message", "wrong flag", "no encoding", "huge"],
)
async def test_wrong_unary_bodies_are_transport_errors(body: bytes, code: bytes) -> None:
    exchange = await grpc_exchange("PostModelOutputs", [body]).run(app_of())
    assert exchange.headers[b"grpc-status"] == code
    assert exchange.body == b""
    assert not exchange.sent[0].get("trailers")


@pytest.mark.parametrize(("name", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_compressed_message(name: str, pack) -> None:
    body = frame(pack(request_of("z").SerializeToString()), flag=1)
    exchange = await grpc_exchange("PostModelOutputs", [body], {"grpc-encoding": name}).run(app_of())
    assert texts_of(exchange) == ["z"]


@pytest.mark.parametrize(("size", "threads"), [(1000, 0), (compression.INLINE_BYTES + 1000, 1)])
async def test_a_message_that_becomes_large_is_decompressed_beside_the_requests_of_others(
    size: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = []

    def run_in_thread(function, *args):
        begun.append(function)
        return in_thread(function, *args)

    monkeypatch.setattr(compression, "in_thread", run_in_thread)
    body = frame(gzip.compress(request_of("z" * size).SerializeToString()), flag=1)
    exchange = await grpc_exchange("PostModelOutputs", [body], {"grpc-encoding": "gzip"}).run(app_of())
    assert texts_of(exchange) == ["z" * size]
    assert len(begun) == threads


async def test_compressed_bomb_is_refused() -> None:
    door = GrpcDoor(make_v2(EchoHandlers()), max_message_bytes=10_000)
    body = frame(gzip.compress(bytes(1_000_000)), flag=1)
    exchange = await grpc_exchange("PostModelOutputs", [body], {"grpc-encoding": "gzip"}).run(door)
    assert exchange.headers[b"grpc-status"] == b"8"


@pytest.mark.parametrize("tail", [b"", b"more"])
async def test_gzip_that_is_cut_or_followed_is_refused(tail: bytes) -> None:
    packed = gzip.compress(request_of("a").SerializeToString())
    payload = packed + tail if tail else packed[:-3]
    exchange = await grpc_exchange("PostModelOutputs", [frame(payload, flag=1)], {"grpc-encoding": "gzip"}).run(
        app_of()
    )
    assert exchange.headers[b"grpc-status"] == b"13"


async def test_unknown_encoding_is_unimplemented_and_told() -> None:
    exchange = await grpc_exchange("PostModelOutputs", [frame(b"")], {"grpc-encoding": "snappy"}).run(app_of())
    assert exchange.headers[b"grpc-status"] == b"12"
    assert exchange.headers[b"grpc-accept-encoding"] == b"identity,gzip,deflate"


@pytest.mark.parametrize(
    ("name", "service", "text"),
    [
        ("PostWorkflows", "clarifai.api.V2", b"PostWorkflows is not implemented"),
        ("NoSuch", "clarifai.api.V2", b"NoSuch is not a method"),
        ("ServerReflectionInfo", "grpc.reflection.v1.ServerReflection", b"grpc.reflection.v1.ServerReflection"),
    ],
)
async def test_unknown_method_is_unimplemented_by_name(name: str, service: str, text: bytes) -> None:
    exchange = await grpc_exchange(name, [frame(b"")], service=service).run(app_of())
    assert exchange.headers[b"grpc-status"] == b"12"
    assert text in exchange.headers[b"grpc-message"]


async def test_grpc_message_is_percent_encoded_utf8() -> None:
    exchange = await grpc_exchange("Grüße%\n", [frame(b"")]).run(app_of())
    assert exchange.headers[b"grpc-message"].startswith(b"Gr%C3%BC%C3%9Fe%25%0A is not")


async def test_error_is_a_status_inside_an_ok_answer() -> None:
    exchange = await grpc_exchange("PostModelOutputs", [frame(request_of("missing"))]).run(app_of())
    assert codes_of(exchange) == [StatusCode.MODEL_DOES_NOT_EXIST]
    assert exchange.trailers == {b"grpc-status": b"0"}


@pytest.mark.parametrize("name", ["PostModelOutputs", "GenerateModelOutputs", "StreamModelOutputs"])
async def test_busy_model_says_when_to_come_again_in_the_trailers_of_an_ok_answer(name: str) -> None:
    exchange = await grpc_exchange(name, [frame(request_of("busy"))]).run(app_of())
    assert exchange.trailers[b"grpc-status"] == b"0"
    assert exchange.trailers[b"retry-after"] == b"7"
    assert codes_of(exchange) == [StatusCode.CONN_THROTTLED]


async def test_crash_hides_its_insides(caplog: pytest.LogCaptureFixture) -> None:
    exchange = await grpc_exchange("PostModelOutputs", [frame(request_of("crash"))]).run(app_of())
    assert codes_of(exchange) == [StatusCode.INTERNAL_UNCATEGORIZED]
    assert b"secret" not in exchange.body
    assert "a secret of the insides" in caplog.text


async def test_error_inside_a_stream_is_its_last_message() -> None:
    exchange = await grpc_exchange("GenerateModelOutputs", [frame(request_of("a", "missing", "b"))]).run(app_of())
    assert codes_of(exchange) == [StatusCode.SUCCESS, StatusCode.MODEL_DOES_NOT_EXIST]
    assert exchange.trailers == {b"grpc-status": b"0"}


@pytest.mark.parametrize("name", ["PostModelOutputs", "GenerateModelOutputs", "StreamModelOutputs"])
async def test_wrong_token_is_a_status_in_every_kind_of_method(name: str) -> None:
    headers = {"authorization": "Key wrong"}
    exchange = await grpc_exchange(name, [frame(request_of("a"))], headers).run(app_of())
    assert codes_of(exchange) == [StatusCode.CONN_KEY_INVALID]
    assert exchange.trailers == {b"grpc-status": b"0"}


async def test_wrong_token_is_told_before_a_large_body_is_read() -> None:
    exchange = grpc_exchange("PostModelOutputs", headers={"authorization": "Key wrong"})
    exchange.incoming = asyncio.Queue()
    exchange.put(b"\x00\x07\x00\x00\x00" + bytes(100), more=True)
    await exchange.run(app_of())
    assert codes_of(exchange) == [StatusCode.CONN_KEY_INVALID]


async def test_cut_stream_is_an_internal_error_of_the_transport() -> None:
    body = frame(request_of("a")) + frame(request_of("b"))[:-2]
    exchange = await grpc_exchange("StreamModelOutputs", [body]).run(app_of())
    assert texts_of(exchange)[0] == "a"
    assert exchange.trailers[b"grpc-status"] == b"13"


@pytest.mark.parametrize(("name", "code"), [("StreamModelOutputs", 11100), ("PostModelVersionsUpload", 21105)])
async def test_empty_stream_starts_nothing(name: str, code: int) -> None:
    echo = EchoHandlers()
    exchange = await grpc_exchange(name).run(app_of(echo))
    assert codes_of(exchange) == [code]
    assert echo.calls == []


async def test_deadline_ends_the_handler() -> None:
    echo = EchoHandlers()
    exchange = await grpc_exchange("PostModelOutputs", [frame(request_of("hang"))], {"grpc-timeout": "30m"}).run(
        app_of(echo)
    )
    assert exchange.headers[b"grpc-status"] == b"4"
    assert echo.cancelled.is_set()
    assert echo.calls[0].deadline is not None


async def test_deadline_after_the_first_message_is_in_the_trailers() -> None:
    body = frame(request_of("a", "hang"))
    exchange = await grpc_exchange("GenerateModelOutputs", [body], {"grpc-timeout": "50000u"}).run(app_of())
    assert texts_of(exchange) == ["a"]
    assert exchange.trailers[b"grpc-status"] == b"4"


async def test_deadline_holds_while_the_body_is_awaited() -> None:
    exchange = grpc_exchange("PostModelOutputs", headers={"grpc-timeout": "30m"})
    exchange.incoming = asyncio.Queue()
    await exchange.run(app_of())
    assert exchange.headers[b"grpc-status"] == b"4"


@pytest.mark.parametrize("timeout", ["", "5", "123456789S", "-1S", "1x", "1.5S"])
async def test_wrong_timeout_is_refused(timeout: str) -> None:
    exchange = await grpc_exchange("PostModelOutputs", [frame(b"")], {"grpc-timeout": timeout}).run(app_of())
    assert exchange.headers[b"grpc-status"] == b"13"


@pytest.mark.parametrize("name", ["PostModelOutputs", "GenerateModelOutputs", "StreamModelOutputs"])
async def test_disconnect_cancels_the_handler(name: str) -> None:
    echo = EchoHandlers()
    exchange = grpc_exchange(name, [frame(request_of("hang"))])
    running = asyncio.create_task(exchange.run(app_of(echo)))
    await asyncio.wait_for(echo.entered.wait(), 5)
    exchange.disconnect()
    await asyncio.wait_for(echo.cancelled.wait(), 5)
    await running
    assert exchange.sent == []


async def test_disconnect_inside_a_request_stream_ends_it() -> None:
    echo = EchoHandlers()
    exchange = grpc_exchange("StreamModelOutputs")
    exchange.incoming = asyncio.Queue()
    exchange.put(frame(request_of("a")), more=True)
    running = asyncio.create_task(exchange.run(app_of(echo)))
    await eventually(lambda: len(echo.received) == 1)
    exchange.disconnect()
    await running
    assert b"http.response.trailers" not in [event["type"] for event in exchange.sent]


async def test_cancel_from_outside_passes_through() -> None:
    echo = EchoHandlers()
    exchange = grpc_exchange("PostModelOutputs", [frame(request_of("hang"))], {"grpc-timeout": "1H"})
    running = asyncio.create_task(exchange.run(app_of(echo), 60))
    await asyncio.wait_for(echo.entered.wait(), 5)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert echo.cancelled.is_set()


async def test_answers_flow_before_the_request_stream_ends() -> None:
    exchange = grpc_exchange("StreamModelOutputs")
    exchange.incoming = asyncio.Queue()
    running = asyncio.create_task(exchange.run(app_of()))
    for number in range(3):
        exchange.put(frame(request_of(str(number))), more=True)
        await eventually(lambda count=number + 1: len(split_frames(exchange.body)) == count)
    exchange.put()
    await running
    assert texts_of(exchange) == ["0", "1", "2"]


async def test_reading_waits_for_the_handler() -> None:
    """A handler that does not ask for messages holds the sender back."""
    echo = EchoHandlers()
    exchange = grpc_exchange("StreamModelOutputs")
    exchange.incoming = asyncio.Queue()
    exchange.put(frame(request_of("hang")), more=True)
    chunk = frame(request_of("x" * 20_000))
    for _ in range(50):
        exchange.put(chunk, more=True)
    running = asyncio.create_task(exchange.run(app_of(echo)))
    await asyncio.wait_for(echo.entered.wait(), 5)
    for _ in range(20):
        await asyncio.sleep(0)
    assert exchange.received < 8
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_request_id_carries_the_clients_prefix() -> None:
    headers = {"x-clarifai-request-id-prefix": "sdk-python-12.5.0"}
    exchange = await grpc_exchange("PostModelOutputs", [frame(request_of("a"))], headers).run(app_of())
    answer = MultiOutputResponse.FromString(split_frames(exchange.body)[0])
    assert answer.status.req_id.startswith("sdk-python-12.5.0-")
    assert exchange.headers[b"x-request-id"].decode() == answer.status.req_id


async def test_prefix_that_would_forge_a_log_line_is_left_out() -> None:
    headers = {"x-clarifai-request-id-prefix": "a\nrequest.failed"}
    exchange = await grpc_exchange("PostModelOutputs", [frame(request_of("a"))], headers).run(app_of())
    assert len(exchange.headers[b"x-request-id"]) == 32


async def test_large_message_is_not_copied_behind_its_prefix() -> None:
    exchange = await grpc_exchange("PostModelOutputs", [frame(request_of("x" * 100_000))]).run(app_of())
    assert texts_of(exchange) == ["x" * 100_000]


async def test_grpc_other_codecs_and_verbs_are_refused_by_http_statuses() -> None:
    json = await grpc_exchange("GetModel", [b""], {"content-type": "application/grpc+json"}).run(app_of())
    assert json.status == 415
    get = grpc_exchange("GetModel", [b""])
    get.scope["method"] = "GET"
    assert (await get.run(app_of())).status == 405
    bare = grpc_exchange("GetModel", [b""])
    bare.scope["extensions"] = {}
    assert (await bare.run(app_of())).status == 505
    proto = await grpc_exchange("GetModel", [frame(b"")], {"content-type": "application/grpc+proto"}).run(app_of())
    assert proto.trailers == {b"grpc-status": b"0"}


@pytest.mark.parametrize("name", ["PostModelOutputs", "GenerateModelOutputs"])
async def test_client_that_compresses_with_gzip_is_answered_in_gzip(name: str) -> None:
    request = PostModelOutputsRequest(model_id="m")
    request.inputs.add().data.text.raw = "x" * 5000
    headers = {"grpc-encoding": "gzip", "grpc-accept-encoding": "identity, deflate, gzip"}
    exchange = grpc_exchange(name, [frame(gzip.compress(request.SerializeToString()), flag=1)], headers)
    await exchange.run(make_app(make_v2(EchoHandlers()), is_ready=lambda: True))
    assert exchange.headers[b"grpc-encoding"] == b"gzip"
    assert exchange.body[0] == 1
    assert int.from_bytes(exchange.body[1:5], "big") == len(exchange.body) - 5 < 200
    answer = MultiOutputResponse.FromString(gzip.decompress(exchange.body[5:]))
    assert answer.outputs[0].data.text.raw == "x" * 5000


@pytest.mark.parametrize("headers", [{"grpc-accept-encoding": "gzip"}, {"grpc-encoding": "gzip"}])
async def test_client_that_does_not_compress_or_does_not_say_that_it_reads_gzip_is_answered_plainly(
    headers: dict[str, str],
) -> None:
    request = PostModelOutputsRequest(model_id="m")
    request.inputs.add().data.text.raw = "x" * 5000
    exchange = grpc_exchange("PostModelOutputs", [frame(request)], headers)
    await exchange.run(make_app(make_v2(EchoHandlers()), is_ready=lambda: True))
    assert b"grpc-encoding" not in exchange.headers
    assert split_frames(exchange.body)
