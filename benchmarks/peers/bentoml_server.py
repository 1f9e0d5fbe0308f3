"""BentoML: one worker; `bentoml serve bentoml_server:Echo`. What the service is, BENCH_MODE says."""

from __future__ import annotations

import os
import time

import bentoml

MODE = os.environ.get("BENCH_MODE", "echo")
WAIT_MS = int(os.environ.get("BENCH_WAIT_MS", "10"))
TRAFFIC = {"timeout": 60, "max_concurrency": 1024}


@bentoml.service(workers=1, traffic=TRAFFIC, logging={"access": {"enabled": False}})
class Echo:
    """The API is a coroutine: BentoML runs it in its event loop, without a thread for each request."""

    if MODE == "batch":

        @bentoml.api(batchable=True, max_batch_size=32, max_latency_ms=1000)
        def echo(self, text: list[str]) -> list[str]:
            time.sleep(0.005 + 0.0001 * len(text))
            return text

    else:

        @bentoml.api
        async def echo(self, text: str) -> str:
            return text
