"""Requests of the V2 API, for our server and for bare gRPC servers that speak the same method."""

from __future__ import annotations

import json

from clarifai_grpc.grpc.api import resources_pb2, service_pb2

from beside.endpoint import Endpoint, make_grpc, make_rest
from beside.payload import Payload
from beside.server import BATCH, ECHO, STREAM, WAITING

UNARY = "/clarifai.api.V2/PostModelOutputs"
METHODS = {ECHO: UNARY, BATCH: UNARY, WAITING: UNARY, STREAM: "/clarifai.api.V2/GenerateModelOutputs"}


def make_message(model_id: str, payload: Payload, *, user_id: str = "local") -> bytes:
    """A predict request with one input."""
    ids = resources_pb2.UserAppIDSet(user_id=user_id, app_id="main")
    request = service_pb2.PostModelOutputsRequest(user_app_id=ids, model_id=model_id)
    one = request.inputs.add()
    if payload.image:
        one.data.image.base64 = payload.image
    else:
        one.data.text.raw = payload.text
    return request.SerializeToString()


def ask_grpc(model_id: str, mode: str, payload: Payload, token: str) -> Endpoint:
    message = make_message(model_id, payload)
    wanted = b"token" if mode == STREAM else payload.as_bytes
    return make_grpc(METHODS[mode], message, wanted, authorization=f"Key {token}")


def ask_rest(model_id: str, payload: Payload, token: str) -> Endpoint:
    data = {"image": {"base64": payload.as_text}} if payload.image else {"text": {"raw": payload.text}}
    body = json.dumps({"inputs": [{"data": data}]}).encode()
    path = f"/v2/users/local/apps/main/models/{model_id}/outputs"
    return make_rest(path, body, payload.as_json_bytes, authorization=f"Key {token}")
