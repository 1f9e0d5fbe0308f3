"""Response messages as JSON: field names as in the contract, enums as numbers, bytes as base64, 64 bits as texts.

Predictions go a quick way, with base64 at the speed of memory. Tests hold it to what `json_format` says.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
import pybase64
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor

from modelyard.server.api.rest.fields import is_map, is_repeated, is_well_known
from modelyard.server.api.v2.call import Reply
from modelyard.wire.messages import Message, MultiOutputResponse
from modelyard.wire.methods import Method

FLOAT32 = struct.Struct("<f")
_F = FieldDescriptor
_WIDE = frozenset({_F.TYPE_INT64, _F.TYPE_UINT64, _F.TYPE_SINT64, _F.TYPE_FIXED64, _F.TYPE_SFIXED64})


def render(message: Message) -> bytes:
    """The message as JSON."""
    if isinstance(message, MultiOutputResponse):
        return msgspec.json.encode(render_quickly(message))
    return msgspec.json.encode(_render_by_protobuf(message))


def parse_reply(method: Method, reply: Reply) -> Any:
    """The response message of a reply, which may be serialised."""
    return method.response_type.FromString(reply) if isinstance(reply, bytes) else reply


def render_quickly(message: Any) -> dict[str, Any]:
    """The JSON object of the message, in which bytes are JSON already."""
    found: dict[str, Any] = {}
    for field, value in message.ListFields():
        name, write = _WRITERS.get(field) or _writer_of(field)
        found[name] = value if write is _same else write(value)
    return found


def _render_by_protobuf(message: Any) -> Any:
    return json_format.MessageToDict(message, preserving_proto_field_name=True, use_integers_for_enums=True)


_WRITERS: dict[FieldDescriptor, tuple[str, Callable[[Any], Any]]] = {}
"""The name of each field that was met, and what makes JSON of its value."""


def _writer_of(field: FieldDescriptor) -> tuple[str, Callable[[Any], Any]]:
    return _WRITERS.setdefault(field, (field.name, _make_writer(field)))


def _make_writer(field: FieldDescriptor) -> Callable[[Any], Any]:
    if is_map(field):
        assert field.message_type is not None
        write_value = _make_single_writer(field.message_type.fields_by_name["value"])
        return lambda items: {_write_key(key): write_value(value) for key, value in items.items()}
    write = _make_single_writer(field)
    if not is_repeated(field):
        return write
    return lambda values: [write(value) for value in values]


def _make_single_writer(field: FieldDescriptor) -> Callable[[Any], Any]:
    if is_well_known(field):
        return _render_by_protobuf
    if field.message_type is not None:
        return render_quickly
    if field.type == _F.TYPE_BYTES:
        return _write_bytes
    if field.type in _WIDE:
        return str
    if field.type == _F.TYPE_FLOAT:
        return _write_float32
    if field.type == _F.TYPE_DOUBLE:
        return _write_float64
    return _same


def _write_key(key: object) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


def _same(value: Any) -> Any:
    return value


def _write_bytes(value: bytes) -> msgspec.Raw:
    return msgspec.Raw(b'"%b"' % pybase64.b64encode(value))


def _write_float64(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


@cache
def _digits() -> tuple[str, ...]:
    return tuple(f"{{:.{digits}g}}" for digits in range(6, 9))


def _write_float32(value: float) -> float | str:
    """The shortest number that is the same float of 32 bits."""
    if not math.isfinite(value):
        return _write_float64(value)
    for digits in _digits():
        short = float(digits.format(value))
        try:
            if FLOAT32.unpack(FLOAT32.pack(short))[0] == value:
                return short
        except OverflowError:
            continue
    return float(f"{value:.9g}")
