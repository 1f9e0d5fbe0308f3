"""NamedFields: several values with names, as a type in an annotation and as what a method gets and answers."""

from __future__ import annotations

import inspect
from collections.abc import ItemsView, KeysView, ValuesView
from typing import Any, get_origin


class _NamedFieldsMeta(type):
    """`NamedFields(x=int)` is a type, `NamedFields(x=1)` a value of it."""

    def __call__(cls, *args: Any, **fields: Any) -> Any:
        if fields and all(_is_type(one) for one in fields.values()):
            shown = ", ".join(f"{name}: {getattr(one, '__name__', one)}" for name, one in fields.items())
            return _NamedFieldsMeta(f"NamedFields({shown})", (cls,), {"__annotations__": dict(fields)})
        return super().__call__(*args, **fields)


class NamedFields(metaclass=_NamedFieldsMeta):
    """Values with names.

    Example:
        >>> Box = NamedFields(left=float, label=str)      # a type: def predict(self, box: Box) -> Box
        >>> NamedFields(left=0.5, label="cat")            # a value
        NamedFields(left=0.5, label='cat')
    """

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    def items(self) -> ItemsView[str, Any]:
        """Names with values."""
        return self.__dict__.items()

    def keys(self) -> KeysView[str]:
        """Names."""
        return self.__dict__.keys()

    def values(self) -> ValuesView[Any]:
        """Values."""
        return self.__dict__.values()

    def __contains__(self, name: object) -> bool:
        return name in self.__dict__

    def __getitem__(self, name: str) -> Any:
        return self.__dict__[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.__dict__[name] = value

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"there is no field {name!r}; there are {', '.join(self.__dict__) or 'none'}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NamedFields) and self.__dict__ == other.__dict__

    __hash__ = None  # type: ignore[assignment]  # fields may change

    def __repr__(self) -> str:
        return f"NamedFields({', '.join(f'{name}={value!r}' for name, value in self.items())})"


def list_named_fields(annotation: object) -> dict[str, object] | None:
    """The fields of such a type with their types; None where the annotation is none, empty for the bare class."""
    if isinstance(annotation, NamedFields | dict):
        return dict(annotation.items())
    if isinstance(annotation, type) and issubclass(annotation, NamedFields):
        return dict(inspect.get_annotations(annotation))
    return None


def _is_type(value: object) -> bool:
    return isinstance(value, type) or get_origin(value) is not None
