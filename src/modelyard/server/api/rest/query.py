"""Query parameters and path variables: dotted names and texts, set on a message by its descriptor."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor

from modelyard.errors import InvalidRequest
from modelyard.server.api.rest.fields import is_repeated, is_well_known
from modelyard.wire.messages import Message

MAX_PARAMETERS = 1000
TOLD_CHARS = 100
_BOOLS = {"true": True, "1": True, "false": False, "0": False}


def fill_from_query(message: Message, query: bytes) -> None:
    """Set `user_app_id.user_id=u&per_page=5`; names that the message does not have are left out.

    Raises:
        InvalidRequest: a value that its field cannot hold, too many parameters, or text that is not UTF-8.
    """
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
    except ValueError:
        raise InvalidRequest(f"the query is not UTF-8, or has more than {MAX_PARAMETERS} parameters") from None
    texts: dict[str, list[str]] = {}
    for name, text in pairs:
        texts.setdefault(name, []).append(text)
    for name, all_of_it in texts.items():
        set_field(message, name, all_of_it)


def set_field(message: Message, path: str, texts: list[str]) -> bool:
    """Set one field by its dotted path; False where there is no such field. Of several texts, a field that is no list
    takes the last."""
    place: Any = message
    *above, last = path.split(".")
    for name in above:
        field = _find(place, name)
        if field is None or field.message_type is None or is_repeated(field) or is_well_known(field):
            return False
        place = getattr(place, field.name)
    field = _find(place, last)
    if field is None or (field.message_type is not None and not is_well_known(field)):
        return False
    try:
        _set(place, field, texts)
    except (ValueError, TypeError, json_format.ParseError):
        told = ", ".join(texts)[:TOLD_CHARS]
        raise InvalidRequest(f"{path}: {told!r} is not a value of this field ({_kind_of(field)})") from None
    return True


def _find(message: Any, name: str) -> FieldDescriptor | None:
    fields = message.DESCRIPTOR.fields_by_name
    found: FieldDescriptor | None = fields.get(name) or message.DESCRIPTOR.fields_by_camelcase_name.get(name)
    return found


def _set(place: Any, field: FieldDescriptor, texts: list[str]) -> None:
    if is_repeated(field):
        json_format.ParseDict({field.name: [_to_json(field, text) for text in texts]}, place)
    elif field.type == FieldDescriptor.TYPE_STRING:
        setattr(place, field.name, texts[-1])
    else:
        json_format.ParseDict({field.name: _to_json(field, texts[-1])}, place)


def _to_json(field: FieldDescriptor, text: str) -> Any:
    """What JSON would say: most fields take texts as they are."""
    if field.type == FieldDescriptor.TYPE_BOOL:
        if text.lower() not in _BOOLS:
            raise ValueError
        return _BOOLS[text.lower()]
    if field.type == FieldDescriptor.TYPE_ENUM and text.lstrip("-").isdecimal():
        return int(text)
    if field.message_type is not None and text[:1] in "{[" and text:
        return json.loads(text)
    return text


def _kind_of(field: FieldDescriptor) -> str:
    if field.message_type is not None:
        return str(field.message_type.name)
    if field.enum_type is not None:
        return str(field.enum_type.name)
    return _KINDS.get(field.type, "text")


_KINDS = {
    FieldDescriptor.TYPE_BOOL: "true or false",
    FieldDescriptor.TYPE_BYTES: "base64",
    FieldDescriptor.TYPE_DOUBLE: "a number",
    FieldDescriptor.TYPE_FLOAT: "a number",
    FieldDescriptor.TYPE_STRING: "text",
} | dict.fromkeys(
    (
        FieldDescriptor.TYPE_INT32,
        FieldDescriptor.TYPE_INT64,
        FieldDescriptor.TYPE_UINT32,
        FieldDescriptor.TYPE_UINT64,
    ),
    "a whole number",
)
