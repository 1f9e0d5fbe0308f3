"""Bare gRPC servers: they echo what the model echoes, without tokens, store, queue or worker."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import uvloop
from clarifai_grpc.grpc.api import service_pb2, service_pb2_grpc
from clarifai_grpc.grpc.api.status import status_code_pb2

OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
SYNC_THREADS = 4


def answer(request):
    response = service_pb2.MultiOutputResponse()
    response.status.code = status_code_pb2.SUCCESS
    for one in request.inputs:
        output = response.outputs.add()
        output.status.code = status_code_pb2.SUCCESS
        output.data.CopyFrom(one.data)
    return response


def answer_many(request) -> Iterator[service_pb2.MultiOutputResponse]:
    """As many messages as the request's text says; the first holds when it was made."""
    for number in range(int(request.inputs[0].data.text.raw)):
        response = service_pb2.MultiOutputResponse()
        response.status.code = status_code_pb2.SUCCESS
        output = response.outputs.add()
        output.status.code = status_code_pb2.SUCCESS
        output.data.text.raw = f"{time.monotonic_ns():020d}" if number == 0 else f"token {number:014d}"
        yield response


class Sync(service_pb2_grpc.V2Servicer):
    def PostModelOutputs(self, request, context):  # noqa: ARG002, N802
        return answer(request)

    def GenerateModelOutputs(self, request, context):  # noqa: ARG002, N802
        yield from answer_many(request)


class Aio(service_pb2_grpc.V2Servicer):
    async def PostModelOutputs(self, request, context):  # noqa: ARG002, N802
        return answer(request)

    async def GenerateModelOutputs(self, request, context):  # noqa: ARG002, N802
        for one in answer_many(request):
            yield one


async def serve_aio(port: int) -> None:
    server = grpc.aio.server(options=OPTIONS)
    service_pb2_grpc.add_V2Servicer_to_server(Aio(), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


def serve_sync(port: int) -> None:
    server = grpc.server(ThreadPoolExecutor(SYNC_THREADS), options=OPTIONS)
    service_pb2_grpc.add_V2Servicer_to_server(Sync(), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", choices=("aio", "uvloop", "sync"), required=True)
    parser.add_argument("--grpc-port", type=int, required=True)
    options = parser.parse_args()
    if options.kind == "sync":
        serve_sync(options.grpc_port)
    elif options.kind == "uvloop":
        uvloop.run(serve_aio(options.grpc_port))
    else:
        asyncio.run(serve_aio(options.grpc_port))
