"""How values of one type travel in a V2 `Data`. One codec for each type of an annotation; they nest as types do."""

from __future__ import annotations

from typing import Protocol

from modelyard.wire.messages import Data, ModelTypeField

DataType = ModelTypeField.DataType


class WrongValue(Exception):
    """A value is not of the codec's type; the message goes on from "it", such as "is a list; int is expected"."""


class Codec(Protocol):
    """One type. All methods are pure, and may be called by many threads."""

    @property
    def name(self) -> str:
        """The type as an author writes it: `list[Image]`."""
        ...

    @property
    def plain_fields(self) -> tuple[str, ...]:
        """Fields of `Data` in which clients without signatures send such a value, the best one first."""
        ...

    def describe(self, field: ModelTypeField) -> None:
        """Say in a signature what type it is."""
        ...

    def check(self, value: object) -> object:
        """The value as one of the type; raises WrongValue. Numbers of numpy become Python's."""
        ...

    def write(self, data: Data, value: object) -> None:
        """Put a value into an empty `Data`. Raises WrongValue."""
        ...

    def read(self, data: Data) -> object:
        """The value out of a `Data`. What is empty is the type's zero, where it has one. Raises WrongValue."""
        ...


def explain_value(value: object, wanted: str) -> str:
    """`is a list; int is expected`."""
    shown = "None" if value is None else f"a value of type {type(value).__name__}"
    return f"is {shown}; {wanted} is expected"


def explain_data(data: Data, wanted: str) -> str:
    """`came as text; int is expected`."""
    fields = [field.name for field, _ in data.ListFields()]
    return f"came as {' and '.join(fields)}; {wanted} is expected" if fields else f"came empty; {wanted} is expected"
