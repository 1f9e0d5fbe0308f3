"""What is asked of a server: a path, headers, a body, and what a right answer holds."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

GRPC, REST = "gRPC", "REST"


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One way to ask. `body` is what goes over the wire: of gRPC the message and its five bytes of prefix."""

    protocol: str
    path: str
    body: bytes
    wanted: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


def make_grpc(path: str, message: bytes, wanted: bytes, **headers: str) -> Endpoint:
    """A unary or server-streaming call."""
    fixed = {"content-type": "application/grpc", "te": "trailers"}
    body = b"\x00" + struct.pack(">I", len(message)) + message
    return Endpoint(protocol=GRPC, path=path, body=body, wanted=wanted, headers=fixed | headers)


def make_rest(path: str, body: bytes, wanted: bytes, **headers: str) -> Endpoint:
    """A POST of JSON."""
    fixed = {"content-type": "application/json"}
    return Endpoint(protocol=REST, path=path, body=body, wanted=wanted, headers=fixed | headers)


def encode_field(number: int, value: bytes | str) -> bytes:
    """A length-delimited field of a protobuf message, for messages whose package is not installed here."""
    data = value.encode() if isinstance(value, str) else value
    return _encode_varint(number << 3 | 2) + _encode_varint(len(data)) + data


def _encode_varint(value: int) -> bytes:
    found = b""
    while value >= 128:
        found += bytes((value % 128 + 128,))
        value //= 128
    return found + bytes((value,))


def encode_infer(model: str, text: bytes) -> bytes:
    """A ModelInferRequest of the open inference protocol with one text in a BYTES tensor of shape [1]."""
    contents = encode_field(8, text)
    tensor = encode_field(1, "text") + encode_field(2, "BYTES") + encode_field(3, b"\x01") + encode_field(5, contents)
    return encode_field(1, model) + encode_field(5, tensor)
