"""The bare echo on the HTTP server that carries Modelyard: what is left when the platform is taken away. As any ASGI
application is written, or answering in one call, as Modelyard's does. It runs in Modelyard's own environment."""

from __future__ import annotations

import argparse
import asyncio
import signal
import struct
from functools import partial

import msgspec
import uvloop
from clarifai_grpc.grpc.api import service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2

from modelyard.server.carriers.base import SHORTCUTS
from modelyard.server.carriers.inloop import InLoopCarrier

PREFIX = struct.Struct(">BI")
GRPC_HEADERS = [(b"content-type", b"application/grpc")]
TRAILERS = [(b"grpc-status", b"0")]


def echo_message(message: bytes) -> bytes:
    """What the bare gRPC servers answer."""
    answer = service_pb2.MultiOutputResponse()
    answer.status.code = status_code_pb2.SUCCESS
    for one in service_pb2.PostModelOutputsRequest.FromString(message).inputs:
        output = answer.outputs.add()
        output.status.code = status_code_pb2.SUCCESS
        output.data.CopyFrom(one.data)
    return answer.SerializeToString()


async def reply_in_one_call(scope, _send, headers, body, trailers) -> None:
    assert scope[SHORTCUTS].reply(200, headers, body, trailers)


async def reply_as_asgi(_scope, send, headers, body, trailers) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": trailers is not None})
    await send({"type": "http.response.body", "body": body})
    if trailers is not None:
        await send({"type": "http.response.trailers", "headers": trailers})


async def app(reply, scope, receive, send) -> None:
    if scope["type"] == "lifespan":
        for _ in range(2):
            step = (await receive())["type"]
            await send({"type": f"{step}.complete"})
        return
    is_grpc = (b"content-type", b"application/grpc") in scope["headers"]
    event = await receive()
    body = event["body"]
    while event["more_body"] and not (is_grpc and len(body) == PREFIX.size + PREFIX.unpack_from(body)[1]):
        event = await receive()
        body += event["body"]
    if is_grpc:
        message = echo_message(body[PREFIX.size :])
        headers, trailers, body = GRPC_HEADERS, TRAILERS, PREFIX.pack(0, len(message)) + message
    else:
        body = msgspec.json.encode({"text": msgspec.json.decode(body)["text"]})
        length = (b"content-length", b"%d" % len(body))
        headers, trailers = [(b"content-type", b"application/json"), length], None
    await reply(scope, send, headers, body, trailers)


async def serve(port: int, *, is_asgi: bool) -> None:
    done = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, done.set)
    carrier = InLoopCarrier(port=port)
    await carrier.start(partial(app, reply_as_asgi if is_asgi else reply_in_one_call))
    await done.wait()
    await carrier.stop(0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--asgi", action="store_true", help="answer by ASGI's events alone")
    options = parser.parse_args()
    uvloop.run(serve(options.port, is_asgi=options.asgi))
