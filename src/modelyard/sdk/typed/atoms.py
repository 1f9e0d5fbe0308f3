"""str, bytes, int, float and bool."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import SupportsFloat, cast

from modelyard.sdk.typed.codec import DataType, WrongValue, explain_data, explain_value
from modelyard.wire.messages import Data, ModelTypeField

MAX_INT = 2**63


@dataclass(frozen=True, kw_only=True)
class Atom:
    """A value that has a field of its own in `Data`."""

    name: str
    type_id: int
    field: str
    plain_fields: tuple[str, ...]
    convert: Callable[[object], object]
    """The value as one of the type; raises TypeError or ValueError where it is none."""
    read_other: Callable[[Data], object]
    """What another field holds, where that will do; None where it will not."""

    def describe(self, field: ModelTypeField) -> None:
        """See `Codec.describe`."""
        field.type = self.type_id

    def check(self, value: object) -> object:
        """See `Codec.check`."""
        try:
            return self.convert(value)
        except (TypeError, ValueError, OverflowError):
            raise WrongValue(explain_value(value, self.name)) from None

    def write(self, data: Data, value: object) -> None:
        """See `Codec.write`."""
        checked = self.check(value)
        try:
            setattr(data, self.field, checked)
        except (TypeError, ValueError, UnicodeError) as error:
            raise WrongValue(f"cannot be sent as {self.name}: {error}") from None

    def read(self, data: Data) -> object:
        """See `Codec.read`."""
        value: object = getattr(data, self.field)
        if value or not data.ByteSize():
            return value
        other = self.read_other(data)
        if other is None:
            raise WrongValue(explain_data(data, self.name))
        return self.check(other)


def _to_str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return str.__str__(value)  # what an enum of texts holds, not its name


def _to_bytes(value: object) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError
    return bytes(value)


def _to_int(value: object) -> int:
    number = int(value) if isinstance(value, float) and value.is_integer() else operator.index(cast("int", value))
    if not -MAX_INT <= number < MAX_INT:
        raise ValueError
    return number


def _to_float(value: object) -> float:
    if isinstance(value, str | bytes):
        raise TypeError
    return float(cast("SupportsFloat", value))


def _to_bool(value: object) -> bool:
    if not _is_bool(value):
        raise TypeError
    return bool(value)


def _is_bool(value: object) -> bool:
    """Python's or numpy's."""
    return isinstance(value, bool) or (type(value).__name__ in ("bool_", "bool") and type(value).__module__ == "numpy")


def _text_of(data: Data) -> object:
    return data.text.raw if data.HasField("text") else None


def _number_of(field: str) -> Callable[[Data], object]:
    return lambda data: getattr(data, field) or None


def _nothing(data: Data) -> object:
    del data
    return None


STR = Atom(
    name="str",
    type_id=DataType.STR,
    field="string_value",
    plain_fields=("text", "string_value"),
    convert=_to_str,
    read_other=_text_of,
)
BYTES = Atom(
    name="bytes",
    type_id=DataType.BYTES,
    field="bytes_value",
    plain_fields=("bytes_value",),
    convert=_to_bytes,
    read_other=_nothing,
)
INT = Atom(
    name="int",
    type_id=DataType.INT,
    field="int_value",
    plain_fields=("int_value",),
    convert=_to_int,
    read_other=_number_of("float_value"),
)
FLOAT = Atom(
    name="float",
    type_id=DataType.FLOAT,
    field="float_value",
    plain_fields=("float_value",),
    convert=_to_float,
    read_other=_number_of("int_value"),
)
BOOL = Atom(
    name="bool",
    type_id=DataType.BOOL,
    field="bool_value",
    plain_fields=("bool_value",),
    convert=_to_bool,
    read_other=_nothing,
)
