"""The messages of gRPC's health checking protocol, `grpc.health.v1`, made here: no package is needed for three fields.

They live in a pool of their own, so that a process which also has `grpcio-health-checking` has them twice in peace.
"""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

SERVICE = "grpc.health.v1.Health"
CHECK, WATCH = f"/{SERVICE}/Check", f"/{SERVICE}/Watch"
SERVING, NOT_SERVING, SERVICE_UNKNOWN = 1, 2, 3
_STATUSES = {"UNKNOWN": 0, "SERVING": SERVING, "NOT_SERVING": NOT_SERVING, "SERVICE_UNKNOWN": SERVICE_UNKNOWN}
_FIELD = descriptor_pb2.FieldDescriptorProto


def decode_service(payload: bytes) -> str | None:
    """The service that a `HealthCheckRequest` names; None where it is none."""
    try:
        return cast("str", _messages()["HealthCheckRequest"].FromString(payload).service)
    except DecodeError:
        return None


def encode_status(status: int) -> bytes:
    """A `HealthCheckResponse`."""
    return cast("bytes", _messages()["HealthCheckResponse"](status=status).SerializeToString())


@cache
def _messages() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="grpc/health/v1/health.proto", package="grpc.health.v1")
    file.syntax = "proto3"
    request = file.message_type.add(name="HealthCheckRequest")
    request.field.add(name="service", number=1, type=_FIELD.TYPE_STRING, label=_FIELD.LABEL_OPTIONAL)
    response = file.message_type.add(name="HealthCheckResponse")
    values = response.enum_type.add(name="ServingStatus")
    for name, number in _STATUSES.items():
        values.value.add(name=name, number=number)
    response.field.add(
        name="status",
        number=1,
        type=_FIELD.TYPE_ENUM,
        type_name=".grpc.health.v1.HealthCheckResponse.ServingStatus",
        label=_FIELD.LABEL_OPTIONAL,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    names = ("HealthCheckRequest", "HealthCheckResponse")
    return {one: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"grpc.health.v1.{one}")) for one in names}
