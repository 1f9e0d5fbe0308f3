"""list[...], tuple[...], NamedFields(...) and Optional[...]: values of values, in the parts of a `Data`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from modelyard.sdk.arrays import is_array
from modelyard.sdk.typed.codec import Codec, DataType, WrongValue, explain_data, explain_value
from modelyard.sdk.typed.messages import Listed
from modelyard.sdk.values.named_fields import NamedFields
from modelyard.wire.messages import Data, ModelTypeField


@dataclass(frozen=True, kw_only=True)
class ListOf:
    """A list of one type. Concepts, regions and frames lie side by side, all else in parts without names."""

    inner: Codec

    @property
    def name(self) -> str:
        """See `Codec.name`."""
        return f"list[{self.inner.name}]"

    @property
    def plain_fields(self) -> tuple[str, ...]:
        """See `Codec.plain_fields`."""
        return (self.inner.field,) if isinstance(self.inner, Listed) else ()

    def describe(self, field: ModelTypeField) -> None:
        """See `Codec.describe`."""
        field.type = DataType.LIST
        _describe_inner(field, f"{field.name}_item", self.inner)

    def check(self, value: object) -> object:
        """See `Codec.check`."""
        return [_check(self.inner, one, f"[{number}]") for number, one in enumerate(self._iterate(value))]

    def write(self, data: Data, value: object) -> None:
        """See `Codec.write`."""
        values = self._iterate(value)
        if isinstance(self.inner, Listed):
            self.inner.write_all(data, values)
            return
        for number, one in enumerate(values):
            _write(self.inner, data.parts.add().data, one, f"[{number}]")

    def read(self, data: Data) -> object:
        """See `Codec.read`."""
        if isinstance(self.inner, Listed):
            return self.inner.read_all(data)
        if not data.parts and data.ByteSize():
            raise WrongValue(explain_data(data, self.name))
        return [_read(self.inner, part.data, f"[{number}]") for number, part in enumerate(data.parts)]

    def _iterate(self, value: Any) -> Iterable[object]:
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
            raise WrongValue(explain_value(value, self.name))
        return cast("Iterable[object]", cast("Any", value).tolist() if is_array(value) else value)


@dataclass(frozen=True, kw_only=True)
class TupleOf:
    """So many values, each of its own type: parts named 0, 1, ..."""

    inners: tuple[Codec, ...]
    plain_fields: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """See `Codec.name`."""
        return f"tuple[{', '.join(one.name for one in self.inners)}]"

    def describe(self, field: ModelTypeField) -> None:
        """See `Codec.describe`."""
        field.type = DataType.TUPLE
        for inner in self.inners:
            _describe_inner(field, f"{field.name}_item", inner)

    def check(self, value: object) -> object:
        """See `Codec.check`."""
        values = self._split(value)
        return tuple(_check(inner, one, f"[{n}]") for n, (inner, one) in enumerate(zip(self.inners, values)))  # noqa: B905 - of equal length

    def write(self, data: Data, value: object) -> None:
        """See `Codec.write`."""
        for number, (inner, one) in enumerate(zip(self.inners, self._split(value))):  # noqa: B905 - of equal length
            part = data.parts.add()
            part.id = str(number)
            _write(inner, part.data, one, f"[{number}]")

    def read(self, data: Data) -> object:
        """See `Codec.read`."""
        if len(data.parts) != len(self.inners):
            raise WrongValue(f"has {len(data.parts)} parts; {self.name} is expected")
        parts = zip(self.inners, data.parts)  # noqa: B905 - of equal length
        return tuple(_read(inner, part.data, f"[{number}]") for number, (inner, part) in enumerate(parts))

    def _split(self, value: object) -> tuple[object, ...] | list[object]:
        if not isinstance(value, tuple | list):
            raise WrongValue(explain_value(value, self.name))
        if len(value) != len(self.inners):
            raise WrongValue(f"has {len(value)} values; {self.name} is expected")
        return value


@dataclass(frozen=True, kw_only=True)
class FieldsOf:
    """Values with names: parts of these names."""

    inners: Mapping[str, Codec]
    plain_fields: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """See `Codec.name`."""
        return f"NamedFields({', '.join(f'{name}={one.name}' for name, one in self.inners.items())})"

    def describe(self, field: ModelTypeField) -> None:
        """See `Codec.describe`."""
        field.type = DataType.NAMED_FIELDS
        for name, inner in self.inners.items():
            _describe_inner(field, name, inner)

    def check(self, value: object) -> object:
        """See `Codec.check`."""
        values = self._split(value)
        return NamedFields(**{name: _check(one, values[name], f".{name}") for name, one in self.inners.items()})

    def write(self, data: Data, value: object) -> None:
        """See `Codec.write`."""
        values = self._split(value)
        for name, inner in self.inners.items():
            part = data.parts.add()
            part.id = name
            _write(inner, part.data, values[name], f".{name}")

    def read(self, data: Data) -> object:
        """See `Codec.read`."""
        parts = {part.id: part.data for part in data.parts}
        if missing := [name for name in self.inners if name not in parts]:
            raise WrongValue(f"lacks {', '.join(missing)}; {self.name} is expected")
        return NamedFields(**{name: _read(one, parts[name], f".{name}") for name, one in self.inners.items()})

    def _split(self, value: object) -> dict[str, object]:
        if not isinstance(value, NamedFields | Mapping):
            raise WrongValue(explain_value(value, self.name))
        if missing := [name for name in self.inners if name not in value]:
            raise WrongValue(f"lacks {', '.join(missing)}; {self.name} is expected")
        return {name: value[name] for name in self.inners}


def _describe_inner(field: ModelTypeField, name: str, codec: Codec) -> None:
    inner = field.type_args.add()
    inner.name = name
    codec.describe(inner)


def _check(codec: Codec, value: object, where: str) -> object:
    try:
        return codec.check(value)
    except WrongValue as error:
        raise WrongValue(_place(where, error)) from None


def _write(codec: Codec, data: Data, value: object, where: str) -> None:
    try:
        codec.write(data, value)
    except WrongValue as error:
        raise WrongValue(_place(where, error)) from None


def _read(codec: Codec, data: Data, where: str) -> object:
    try:
        return codec.read(data)
    except WrongValue as error:
        raise WrongValue(_place(where, error)) from None


def _place(where: str, error: WrongValue) -> str:
    """`[2] is None; str is expected`, and `[2].name ...` for what is deeper."""
    text = str(error)
    return f"{where}{text}" if text.startswith(("[", ".")) else f"{where} {text}"
