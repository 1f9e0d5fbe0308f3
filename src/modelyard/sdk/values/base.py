"""What all values that stand for a V2 message share."""

from __future__ import annotations

from typing import Any, TypeVar

ValueT = TypeVar("ValueT", bound="MessageData")


class MessageData:
    """A value with a V2 message."""

    def to_proto(self) -> Any:
        """The V2 message."""
        raise NotImplementedError

    @classmethod
    def from_proto(cls: type[ValueT], proto: Any) -> ValueT:
        """The value of a V2 message."""
        raise NotImplementedError

    @classmethod
    def from_value(cls: type[ValueT], value: Any) -> ValueT:
        """The value itself, or what it is made of. Raises TypeError where it can be made of no such thing."""
        if isinstance(value, cls):
            return value
        raise TypeError(f"{cls.__name__} cannot be made of a value of type {type(value).__name__}")

    def cast(self, python_type: object) -> object:
        """The value as this type. Raises TypeError where there is no way."""
        if isinstance(python_type, type) and isinstance(self, python_type):
            return self
        raise TypeError(f"{type(self).__name__} cannot become {python_type}")
