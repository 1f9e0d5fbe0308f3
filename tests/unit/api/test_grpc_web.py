"""gRPC-Web over the door's ASGI application, by a client written out here."""

from __future__ import annotations

import base64

import pytest

from modelyard.server.api.asgi import make_app
from modelyard.wire.messages import MultiOutputResponse, PostModelOutputsRequest, StatusCode
from support.doors import AsgiExchange, EchoHandlers, frame, http_exchange, make_v2

ORIGIN = "https://console.example"


def request_of(*texts: str) -> PostModelOutputsRequest:
    request = PostModelOutputsRequest(model_id="m")
    for text in texts:
        request.inputs.add().data.text.raw = text
    return request


def web_exchange(name: str, chunks: list[bytes], kind: str = "application/grpc-web+proto") -> AsgiExchange:
    exchange = http_exchange("POST", f"/clarifai.api.V2/{name}", chunks, {"content-type": kind, "x-grpc-web": "1"})
    exchange.scope["extensions"] = {}  # as over HTTP/1.1
    return exchange


async def run(exchange: AsgiExchange, *, cors_origins: tuple[str, ...] = ()) -> AsgiExchange:
    return await exchange.run(make_app(make_v2(EchoHandlers()), is_ready=lambda: True, cors_origins=cors_origins))


def read_answer(body: bytes) -> tuple[list[MultiOutputResponse], dict[str, str]]:
    """The messages and the trailers."""
    messages = []
    while body:
        flag, size = body[0], int.from_bytes(body[1:5], "big")
        payload, body = body[5 : 5 + size], body[5 + size :]
        if flag == 0x80:
            assert not body, "something follows the trailers"
            lines = payload.decode().split("\r\n")
            assert lines.pop() == ""
            return messages, {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
        messages.append(MultiOutputResponse.FromString(payload))
    raise AssertionError("there are no trailers")


def decode_text(events: list[dict[str, object]]) -> bytes:
    """Every piece is whole base64 by itself: a browser may read it before the next has come."""
    return b"".join(base64.b64decode(event.get("body", b""), validate=True) for event in events)


async def test_unary_answer_ends_with_a_frame_of_trailers() -> None:
    exchange = await run(web_exchange("PostModelOutputs", [frame(request_of("hi"))]))
    messages, trailers = read_answer(exchange.body)
    assert messages[0].outputs[0].data.text.raw == "hi"
    assert trailers == {"grpc-status": "0"}
    assert exchange.headers[b"content-type"] == b"application/grpc-web+proto"
    assert [event["type"] for event in exchange.sent if event["type"] == "http.response.trailers"] == []
    assert [event.get("more_body", False) for event in exchange.sent[1:]][-1] is False


async def test_stream_of_answers_comes_message_by_message() -> None:
    exchange = await run(web_exchange("GenerateModelOutputs", [frame(request_of("a", "b", "c"))]))
    messages, trailers = read_answer(exchange.body)
    assert [one.outputs[0].data.text.raw for one in messages] == ["a", "b", "c"]
    assert trailers["grpc-status"] == "0"


@pytest.mark.parametrize("size", [1, 3, 4, 7, 1000])
async def test_text_may_be_cut_anywhere(size: int) -> None:
    text = base64.b64encode(frame(request_of("hello"))).strip()
    chunks = [text[at : at + size] for at in range(0, len(text), size)]
    exchange = await run(web_exchange("PostModelOutputs", chunks, "application/grpc-web-text"))
    messages, trailers = read_answer(decode_text(exchange.sent[1:]))
    assert (messages[0].outputs[0].data.text.raw, trailers["grpc-status"]) == ("hello", "0")
    assert exchange.headers[b"content-type"] == b"application/grpc-web-text"


async def test_text_may_be_padded_in_the_middle() -> None:
    whole = frame(request_of("hello"))
    text = b"".join(base64.b64encode(whole[at : at + 5]) for at in range(0, len(whole), 5))
    exchange = await run(web_exchange("PostModelOutputs", [text], "application/grpc-web-text+proto"))
    assert read_answer(decode_text(exchange.sent[1:]))[0][0].outputs[0].data.text.raw == "hello"


@pytest.mark.parametrize("text", [b"AAAA?", b"A", b"=AAA", b"A===", b"\xff\xff\xff\xff"])
async def test_what_is_not_base64_is_an_error_in_the_trailers(text: bytes) -> None:
    exchange = await run(web_exchange("PostModelOutputs", [text], "application/grpc-web-text"))
    messages, trailers = read_answer(decode_text(exchange.sent[1:]))
    assert (messages, trailers["grpc-status"]) == ([], "13")
    assert "base64" in trailers["grpc-message"]


async def test_error_of_the_transport_is_in_the_body_and_not_in_the_headers() -> None:
    exchange = await run(web_exchange("PostWorkflows", [frame(b"")]))
    messages, trailers = read_answer(exchange.body)
    assert (exchange.status, messages, trailers["grpc-status"]) == (200, [], "12")
    assert "PostWorkflows" in trailers["grpc-message"]
    assert b"grpc-status" not in exchange.headers


async def test_error_of_the_application_is_a_message() -> None:
    exchange = web_exchange("PostModelOutputs", [frame(request_of("missing"))])
    messages, trailers = read_answer((await run(exchange)).body)
    assert messages[0].status.code == StatusCode.MODEL_DOES_NOT_EXIST
    assert trailers["grpc-status"] == "0"


@pytest.mark.parametrize(
    "kind", ["application/grpc-web+json", "application/grpc-web-text+thrift", "application/grpc-w"]
)
async def test_other_types_are_refused(kind: str) -> None:
    assert (await run(web_exchange("PostModelOutputs", [frame(b"")], kind))).status == 415


async def test_pages_of_other_origins_may_not_call_by_default() -> None:
    preflight = http_exchange(
        "OPTIONS",
        "/clarifai.api.V2/PostModelOutputs",
        headers={"origin": ORIGIN, "access-control-request-method": "POST"},
    )
    await run(preflight)
    assert preflight.status == 404
    exchange = web_exchange("PostModelOutputs", [frame(request_of("hi"))])
    exchange.scope["headers"].append((b"origin", ORIGIN.encode()))
    await run(exchange)
    assert not [name for name in exchange.headers if name.startswith(b"access-control")]


async def test_pages_of_a_named_origin_may_call() -> None:
    preflight = http_exchange(
        "OPTIONS",
        "/clarifai.api.V2/PostModelOutputs",
        headers={"origin": ORIGIN, "access-control-request-method": "POST"},
    )
    await run(preflight, cors_origins=(ORIGIN,))
    assert preflight.status == 204
    assert preflight.headers[b"access-control-allow-origin"] == ORIGIN.encode()
    assert b"x-grpc-web" in preflight.headers[b"access-control-allow-headers"]
    assert b"access-control-allow-credentials" not in preflight.headers
    exchange = web_exchange("PostModelOutputs", [frame(request_of("hi"))])
    exchange.scope["headers"].append((b"origin", ORIGIN.encode()))
    await run(exchange, cors_origins=(ORIGIN,))
    assert exchange.headers[b"access-control-allow-origin"] == ORIGIN.encode()
    assert b"grpc-status" in exchange.headers[b"access-control-expose-headers"]


async def test_another_origin_than_the_named_one_may_not() -> None:
    exchange = web_exchange("PostModelOutputs", [frame(request_of("hi"))])
    exchange.scope["headers"].append((b"origin", b"https://console.example.evil"))
    await run(exchange, cors_origins=(ORIGIN,))
    assert b"access-control-allow-origin" not in exchange.headers
