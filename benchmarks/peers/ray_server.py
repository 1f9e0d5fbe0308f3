"""Ray Serve: one replica, HTTP and gRPC proxies on this node."""

from __future__ import annotations

import argparse
import asyncio
import signal
import threading

import ray
from ray import serve
from ray.serve.config import HTTPOptions, gRPCOptions
from ray.serve.generated import serve_pb2
from starlette.requests import Request

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--grpc-port", type=int, required=True)
parser.add_argument("--mode", default="echo")


@serve.deployment(num_replicas=1, max_ongoing_requests=1024, ray_actor_options={"num_cpus": 0})
class Echo:
    async def __call__(self, request: Request) -> dict[str, str]:
        return {"text": (await request.json())["text"]}

    async def Method1(self, request):  # noqa: N802
        return serve_pb2.UserDefinedResponse(greeting=request.name)


@serve.deployment(num_replicas=1, max_ongoing_requests=1024, ray_actor_options={"num_cpus": 0})
class Batched:
    @serve.batch(max_batch_size=32, batch_wait_timeout_s=0.005, max_concurrent_batches=1)
    async def predict(self, texts: list[str]) -> list[str]:
        await asyncio.sleep(0.005 + 0.0001 * len(texts))
        return texts

    async def __call__(self, request: Request) -> dict[str, str]:
        return {"text": await self.predict((await request.json())["text"])}

    async def Method1(self, request):  # noqa: N802
        return serve_pb2.UserDefinedResponse(greeting=await self.predict(request.name))


if __name__ == "__main__":
    options = parser.parse_args()
    ray.init(
        num_cpus=1,
        include_dashboard=False,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
        object_store_memory=256 * 1024 * 1024,
    )
    grpc_options = gRPCOptions(
        port=options.grpc_port,
        grpc_servicer_functions=["ray.serve.generated.serve_pb2_grpc.add_UserDefinedServiceServicer_to_server"],
    )
    serve.start(http_options=HTTPOptions(host="127.0.0.1", port=options.port), grpc_options=grpc_options)
    logging = {"enable_access_log": False, "log_level": "WARNING"}
    app = (Batched if options.mode == "batch" else Echo).bind()
    serve.run(app, name="echo", route_prefix="/", logging_config=logging)
    done = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: done.set())
    done.wait()
    serve.shutdown()
    ray.shutdown()
