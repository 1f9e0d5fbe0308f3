"""KServe's Python server: one worker; echoes over its REST V1 and V2 protocols and over gRPC V2."""

from __future__ import annotations

import kserve
from kserve import InferOutput, InferRequest, InferResponse
from loopback import hold_grpc, hold_uvicorn


class Echo(kserve.Model):
    def __init__(self) -> None:
        super().__init__("echo")
        self.ready = True

    async def predict(self, payload, headers=None, response_headers=None):  # noqa: ARG002
        if isinstance(payload, InferRequest):
            outputs = [
                InferOutput(name=one.name, shape=list(one.shape), datatype=one.datatype, data=one.data)
                for one in payload.inputs
            ]
            return InferResponse(response_id=payload.id or "", model_name=self.name, infer_outputs=outputs)
        return {"predictions": payload["instances"]}


if __name__ == "__main__":
    hold_uvicorn()
    hold_grpc()
    kserve.ModelServer(workers=1).start([Echo()])
