"""Fills request messages from JSON values: the quick way for predictions, protobuf's own way for all the rest.

protobuf's `json_format` costs 5 ms for a MiB of base64. The quick way knows the plain shapes of a prediction; whatever
else it meets makes it give up, and `json_format` decides: it alone says what is valid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import pybase64
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from modelyard.errors import InvalidRequest
from modelyard.server.api.rest.fields import is_map, is_repeated, is_well_known
from modelyard.wire.messages import Message, PostModelOutputsRequest, Struct

INT32 = range(-(2**31), 2**31)
FLOAT32_LIMIT = 3.0e38
"""Near the largest float of 32 bits; protobuf decides on what is above."""
TOLD_CHARS = 300
_F = FieldDescriptor


class _Unusual(Exception):
    """Not a shape that the quick way knows."""


def fill(message: Message, value: dict[str, Any]) -> None:
    """Set the fields that the JSON object names, in snake_case or camelCase; unknown names are left out.

    Raises:
        InvalidRequest: a value that its field cannot hold, named by its path.
    """
    if isinstance(message, PostModelOutputsRequest) and fill_quickly(message, value):
        return
    try:
        json_format.ParseDict(value, message, ignore_unknown_fields=True)
    except json_format.ParseError as error:
        raise InvalidRequest(f"the request does not fit {message.DESCRIPTOR.name}: {str(error)[:TOLD_CHARS]}") from None
    except (ValueError, TypeError, OverflowError, RecursionError, AttributeError):
        raise InvalidRequest(f"the request does not fit {message.DESCRIPTOR.name}") from None


def fill_quickly(message: Message, value: Mapping[str, Any]) -> bool:
    """The quick way; False, with the message left empty, where it gives up."""
    try:
        _fill(message, value)
    except (_Unusual, ValueError, TypeError, OverflowError):
        message.Clear()
        return False
    return True


def _fill(message: Any, value: Mapping[str, Any]) -> None:
    if type(value) is not dict:
        raise _Unusual
    setters = _setters_of(message.DESCRIPTOR)
    seen = set()
    for name, item in value.items():
        entry = setters.get(name)
        if entry is None:
            continue
        key, setter = entry
        if item is None or key in seen:
            raise _Unusual
        seen.add(key)
        setter(message, item)


Setter = Callable[[Any, Any], None]


@cache
def _setters_of(descriptor: Descriptor) -> dict[str, tuple[str, Setter]]:
    """By both spellings of each field: (what may be said once: the field, or its oneof; how it is set)."""
    found: dict[str, tuple[str, Setter]] = {}
    for field in descriptor.fields:
        oneof = field.containing_oneof
        entry = (oneof.name if oneof is not None else field.name, _make_setter(field))
        found[field.name] = found[field.json_name] = entry
    return found


def _make_setter(field: FieldDescriptor) -> Setter:
    name = field.name
    if field.message_type is not None:
        return _make_message_setter(field)
    convert = _CONVERTERS.get(field.type)
    if convert is None:
        return _refuse
    if not is_repeated(field):
        return lambda message, item: setattr(message, name, convert(item))

    def extend(message: Any, items: Any) -> None:
        if type(items) is not list:
            raise _Unusual
        getattr(message, name).extend([convert(item) for item in items])

    return extend


def _make_message_setter(field: FieldDescriptor) -> Setter:
    name = field.name
    below = field.message_type
    if below is Struct.DESCRIPTOR and not is_repeated(field):
        return lambda message, item: _fill_struct(getattr(message, name), item)
    if is_well_known(field) or is_map(field):
        return _refuse
    if not is_repeated(field):

        def set_one(message: Any, item: Any) -> None:
            place = getattr(message, name)
            place.SetInParent()
            _fill(place, item)

        return set_one

    def add_all(message: Any, items: Any) -> None:
        if type(items) is not list:
            raise _Unusual
        places = getattr(message, name)
        for item in items:
            _fill(places.add(), item)

    return add_all


def _refuse(_message: Any, _item: Any) -> None:
    raise _Unusual


def _fill_struct(place: Any, item: Any) -> None:
    if type(item) is not dict:
        raise _Unusual
    place.SetInParent()
    place.update(item)


def _to_text(item: Any) -> str:
    if type(item) is not str:
        raise _Unusual
    return item


def _to_bytes(item: Any) -> bytes:
    if type(item) is not str:
        raise _Unusual
    return pybase64.b64decode(item, validate=True)


def _to_number(item: Any) -> float:
    if type(item) is not int and type(item) is not float:
        raise _Unusual
    return float(item)


def _to_float32(item: Any) -> float:
    number = _to_number(item)
    if not -FLOAT32_LIMIT < number < FLOAT32_LIMIT:
        raise _Unusual
    return number


def _to_int32(item: Any) -> int:
    if type(item) is not int or item not in INT32:
        raise _Unusual
    return item


def _to_bool(item: Any) -> bool:
    if type(item) is not bool:
        raise _Unusual
    return item


_CONVERTERS: dict[int, Callable[[Any], Any]] = {
    _F.TYPE_STRING: _to_text,
    _F.TYPE_BYTES: _to_bytes,
    _F.TYPE_DOUBLE: _to_number,
    _F.TYPE_FLOAT: _to_float32,
    _F.TYPE_BOOL: _to_bool,
    _F.TYPE_INT32: _to_int32,
}
