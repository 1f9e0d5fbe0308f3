"""The three patch actions of the public API, on texts, JSON objects and messages.

| action    | text                | JSON object              | message field | list of things with ids |
|-----------|---------------------|--------------------------|---------------|-------------------------|
| merge     | replaced if given   | merged, key by key       | merged        | merged by id            |
| overwrite | replaced if given   | replaced if given        | replaced      | replaced                |
| remove    | cleared if given    | the given keys are gone  | see its parts | the given ids are gone  |
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, cast

from modelyard.errors import InvalidRequest
from modelyard.server.records import JsonObject
from modelyard.wire.messages import Message, Struct


class PatchAction(Enum):
    """What a patch does with what is there."""

    MERGE = "merge"
    OVERWRITE = "overwrite"
    REMOVE = "remove"


def read_action(text: str) -> PatchAction:
    """The action that a request names; empty is merge. Raises InvalidRequest for any other word."""
    try:
        return PatchAction(text or "merge")
    except ValueError:
        allowed = ", ".join(one.value for one in PatchAction)
        raise InvalidRequest(f"patch action {text[:80]!r} is not known: use one of {allowed}") from None


def patch_text(old: str, given: str, action: PatchAction) -> str:
    """A text after the patch; empty means that it was not given."""
    if not given:
        return old
    return "" if action is PatchAction.REMOVE else given


def patch_json(old: JsonObject, given: JsonObject | None, action: PatchAction) -> JsonObject:
    """An object after the patch; None means that it was not given."""
    if given is None:
        return old
    match action:
        case PatchAction.OVERWRITE:
            return given
        case PatchAction.MERGE:
            return _merge(old, given)
        case PatchAction.REMOVE:
            return _remove(old, given)


def patch_message(target: Message, given: Message, action: PatchAction) -> None:
    """Patch a message in place by the fields that are set in `given`."""
    for field, value in given.ListFields():
        if isinstance(value, Struct):
            _patch_struct(getattr(target, field.name), value, action)
        elif field.is_repeated:
            _patch_list(getattr(target, field.name), value, action)
        elif action is PatchAction.OVERWRITE or field.message_type is None:
            _set_field(target, field, value, action)
        else:
            patch_message(getattr(target, field.name), value, action)


def _merge(old: JsonObject, given: JsonObject) -> JsonObject:
    merged = dict(old)
    for name, value in given.items():
        below = merged.get(name)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[name] = _merge(below, value) if both else value  # type: ignore[arg-type]
    return merged


def _remove(old: JsonObject, given: JsonObject) -> JsonObject:
    left = dict(old)
    for name, value in given.items():
        below = left.get(name)
        if isinstance(below, Mapping) and isinstance(value, Mapping) and value:
            left[name] = _remove(below, value)
        else:
            left.pop(name, None)
    return left


def _patch_struct(target: Struct, given: Struct, action: PatchAction) -> None:
    patched = patch_json(read_struct(target), read_struct(given), action)
    target.Clear()
    target.update(cast("dict[str, Any]", patched))


def _patch_list(target: Any, given: Any, action: PatchAction) -> None:
    """A repeated field: things with ids one by one, others as a whole."""
    old = list(target)
    has_ids = all(getattr(one, "id", "") for one in (*old, *given))
    if action is PatchAction.OVERWRITE or (action is PatchAction.MERGE and not has_ids):
        result = list(given)
    elif has_ids:
        named = {one.id: one for one in given}
        result = [one for one in old if one.id not in named]
        if action is PatchAction.MERGE:
            result = [named.pop(one.id, one) for one in old] + list(named.values())
    else:
        result = [one for one in old if one not in list(given)]
    result = [_copy(one) for one in result]
    del target[:]
    target.extend(result)


def _set_field(target: Message, field: Any, value: Any, action: PatchAction) -> None:
    if action is PatchAction.REMOVE:
        target.ClearField(field.name)
    elif field.message_type is None:
        setattr(target, field.name, value)
    else:
        getattr(target, field.name).CopyFrom(value)


def _copy(value: Any) -> Any:
    if not isinstance(value, Message):
        return value
    copy = type(value)()
    copy.CopyFrom(value)
    return copy


def read_struct(struct: Struct) -> dict[str, Any]:
    """A protobuf Struct as a JSON object. Whole numbers come back as integers."""
    return {name: _read_value(value) for name, value in struct.fields.items()}


def _read_value(value: Any) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            return read_struct(value.struct_value)
        case "list_value":
            return [_read_value(one) for one in value.list_value.values]
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() and abs(number) < 2**53 else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case _:
            return None
