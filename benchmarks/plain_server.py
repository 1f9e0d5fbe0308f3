"""A plain grpc.aio server that echoes texts as PostModelOutputs: no tokens, no models, no worker. Prints its port."""

from __future__ import annotations

import asyncio

import grpc
from clarifai_grpc.grpc.api import service_pb2, service_pb2_grpc
from clarifai_grpc.grpc.api.status import status_code_pb2


class Echo(service_pb2_grpc.V2Servicer):
    """What the benchmark's model does, in the server itself."""

    async def PostModelOutputs(self, request, context):  # noqa: ARG002, N802
        answer = service_pb2.MultiOutputResponse()
        answer.status.code = status_code_pb2.SUCCESS
        for one in request.inputs:
            output = answer.outputs.add()
            output.status.code = status_code_pb2.SUCCESS
            output.data.text.raw = one.data.text.raw
        return answer


async def main() -> None:
    server = grpc.aio.server()
    service_pb2_grpc.add_V2Servicer_to_server(Echo(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main())
