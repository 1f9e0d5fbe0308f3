"""Requests are what the servers of each protocol read."""

from __future__ import annotations

import base64
import json

from beside.endpoint import encode_field, encode_infer, make_grpc
from beside.payload import Payload, make_image, make_text
from beside.v2 import ask_grpc, ask_rest, make_message
from clarifai_grpc.grpc.api import service_pb2


def test_a_grpc_body_is_the_message_after_flag_and_length() -> None:
    assert make_grpc("/a/b", b"abc", b"").body == b"\x00\x00\x00\x00\x03abc"


def test_long_fields_have_lengths_of_several_bytes() -> None:
    assert encode_field(1, b"x" * 300)[:3] == b"\x0a\xac\x02"


def test_an_inference_request_holds_model_and_text() -> None:
    tensor = b"\x0a\x04text\x12\x05BYTES\x1a\x01\x01\x2a\x04\x42\x02hi"
    assert encode_infer("echo", b"hi") == b"\x0a\x04echo\x2a" + bytes((len(tensor),)) + tensor


def test_a_v2_request_holds_the_text_or_the_image() -> None:
    request = service_pb2.PostModelOutputsRequest.FromString(make_message("echo", make_text(100)))
    assert (request.model_id, len(request.inputs[0].data.text.raw)) == ("echo", 100)
    image = make_image(1000)
    request = service_pb2.PostModelOutputsRequest.FromString(make_message("echo", image))
    assert request.inputs[0].data.image.base64 == image.image


def test_both_doors_are_asked_for_the_same_with_the_token() -> None:
    image = make_image(64)
    rest = ask_rest("echo", image, "secret")
    body = json.loads(rest.body)
    assert base64.b64decode(body["inputs"][0]["data"]["image"]["base64"]) == image.image
    assert rest.headers["authorization"] == ask_grpc("echo", "echo", image, "secret").headers["authorization"]


def test_the_text_takes_its_place_in_nested_json() -> None:
    body = Payload(text="hi").in_json(inputs=[{"name": "text", "data": [...]}])
    assert json.loads(body) == {"inputs": [{"name": "text", "data": ["hi"]}]}
