"""dict, list and JSON: documents, in a `Struct`. A list travels as a dict with one key, `_list`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from modelyard.sdk.arrays import is_array
from modelyard.sdk.typed.codec import DataType, WrongValue, explain_data, explain_value
from modelyard.sdk.values.named_fields import NamedFields
from modelyard.sdk.values.text import JSON, Text
from modelyard.wire.messages import Data, ModelTypeField

LIST_KEY = "_list"
MAX_DEPTH = 64


@dataclass(frozen=True, kw_only=True)
class Document:
    """A dict or a list of what JSON knows."""

    name: str
    plain_fields: tuple[str, ...] = ("struct_value", "string_value")

    def describe(self, field: ModelTypeField) -> None:
        """See `Codec.describe`."""
        field.type = DataType.JSON_DATA

    def check(self, value: object) -> object:
        """See `Codec.check`."""
        checked = _simplify(value, "")
        if not isinstance(checked, dict | list):
            raise WrongValue(explain_value(value, self.name))
        return checked

    def write(self, data: Data, value: object) -> None:
        """See `Codec.write`."""
        checked: Any = self.check(value)
        data.struct_value.SetInParent()
        data.struct_value.update(checked if isinstance(checked, dict) else {LIST_KEY: checked})

    def read(self, data: Data) -> object:
        """See `Codec.read`."""
        if data.HasField("struct_value"):
            found = read_struct(data.struct_value)
            return found[LIST_KEY] if list(found) == [LIST_KEY] and isinstance(found[LIST_KEY], list) else found
        if not data.string_value:
            raise WrongValue(explain_data(data, self.name))
        try:
            return self.check(json.loads(data.string_value))
        except (ValueError, RecursionError) as error:
            raise WrongValue(f"is a text that is not JSON ({error}); {self.name} is expected") from None


def read_struct(struct: Any) -> dict[str, object]:
    """The dict of a `Struct`. It knows one kind of number: whole ones become int."""
    return {name: read_value(value) for name, value in struct.fields.items()}


def read_value(value: Any) -> object:
    """What a `Value` holds."""
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        number: float = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "struct_value":
        return read_struct(value.struct_value)
    if kind == "list_value":
        return [read_value(one) for one in value.list_value.values]
    return getattr(value, kind) if kind in ("string_value", "bool_value") else None


def _simplify(value: Any, where: str, depth: int = 0) -> object:
    """As what a `Struct` takes. Raises WrongValue with the place of what it does not."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if depth > MAX_DEPTH:
        raise WrongValue(f"is nested deeper than {MAX_DEPTH} levels at {where[:80]}")
    if isinstance(value, JSON):
        return _simplify(value.value, where, depth + 1)
    if isinstance(value, Text):
        return str(value)
    if isinstance(value, dict | NamedFields):
        return {_key(name, where): _simplify(one, f"{where}[{name!r}]", depth + 1) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_simplify(one, f"{where}[{number}]", depth + 1) for number, one in enumerate(value)]
    if is_array(value):
        return value.tolist()
    if type(value).__module__ == "numpy" and hasattr(value, "item"):
        return value.item()
    raise WrongValue(f"holds a value of type {type(value).__name__} at {where or 'its top'}, which JSON does not know")


def _key(name: object, where: str) -> str:
    if isinstance(name, str):
        return name
    if isinstance(name, int):
        return str(name)
    raise WrongValue(f"has the key {name!r} at {where or 'its top'}; keys of JSON are texts")
