"""MLServer's custom runtime: echoes each input tensor. beside/peers.py writes its settings."""

from __future__ import annotations

import asyncio
import os

from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput


class Echo(MLModel):
    async def load(self) -> bool:
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        if os.environ.get("BENCH_MODE") == "batch":
            await asyncio.sleep(0.005 + 0.0001 * payload.inputs[0].shape[0])
        outputs = [
            ResponseOutput(name=one.name, shape=one.shape, datatype=one.datatype, data=one.data)
            for one in payload.inputs
        ]
        return InferenceResponse(model_name=self.name, outputs=outputs)
