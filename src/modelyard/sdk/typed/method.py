"""A typed method: its arguments and its result, read off the function when the class is defined."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from modelyard.sdk.typed.annotations import read_annotation
from modelyard.sdk.typed.codec import Codec
from modelyard.sdk.values.base import MessageData
from modelyard.sdk.values.param import Param
from modelyard.wire.messages import MethodSignature, ModelTypeField, RunnerMethodType
from modelyard.wire.signatures import RESULT

RESERVED = "with_proto"
"""An argument that published clients add to every method."""
PREDICT, GENERATE, STREAM = "predict", "generate", "stream"
_KINDS = {
    (False, False): (PREDICT, RunnerMethodType.UNARY_UNARY),
    (False, True): (GENERATE, RunnerMethodType.UNARY_STREAMING),
    (True, True): (STREAM, RunnerMethodType.STREAMING_STREAMING),
}
_NO_DEFAULT = inspect.Parameter.empty


@dataclass(frozen=True, kw_only=True)
class Argument:
    """One argument of a method, or its result."""

    name: str
    codec: Codec
    is_stream: bool = False
    is_optional: bool = False
    """May it be None?"""
    default: object = _NO_DEFAULT
    """A plain value or a `Param`."""

    @property
    def is_required(self) -> bool:
        """Has it no default?"""
        return self.default is _NO_DEFAULT

    @property
    def type_name(self) -> str:
        """The type as an author writes it."""
        return f"Iterator[{self.codec.name}]" if self.is_stream else self.codec.name

    def describe(self, *, is_result: bool = False) -> ModelTypeField:
        """The field of a signature."""
        field = ModelTypeField(name=self.name, iterator=self.is_stream)
        if not is_result:
            field.required = self.is_required
            if not self.is_required:
                _describe_default(field, self.default)
        self.codec.describe(field)
        return field


@dataclass(frozen=True)
class Method:
    """What a decorated function takes and answers."""

    name: str
    kind: str
    """`predict`, `generate` or `stream`: how it is called."""
    type_id: int
    description: str
    arguments: tuple[Argument, ...]
    result: Argument

    @property
    def stream_argument(self) -> Argument | None:
        """The argument that is an iterator."""
        return next((one for one in self.arguments if one.is_stream), None)

    @cached_property
    def signature(self) -> MethodSignature:
        """As clients are told of it."""
        return MethodSignature(
            name=self.name,
            method_type=self.type_id,
            description=self.description,
            input_fields=[one.describe() for one in self.arguments],
            output_fields=[self.result.describe(is_result=True)],
        )

    def __str__(self) -> str:
        arguments = ", ".join(f"{one.name}: {one.type_name}" for one in self.arguments)
        return f"{self.name}({arguments}) -> {self.result.type_name}"


def read_method(function: Callable[..., Any]) -> Method:
    """Read the annotations of a function. Raises TypeError that says which argument is wrong, and what is allowed."""
    signature = _read_signature(function)
    parameters = list(signature.parameters.values())
    if parameters and parameters[0].name in ("self", "cls"):
        parameters = parameters[1:]
    name = function.__name__
    if signature.return_annotation in (inspect.Signature.empty, None):
        raise TypeError(f"{name}: nothing says what it returns; write it behind the arguments, such as `-> str:`")
    arguments = tuple(_read_parameter(name, one) for one in parameters)
    result = _read_argument(f"{name}: its result", RESULT, signature.return_annotation)
    streams = [one.name for one in arguments if one.is_stream]
    if len(streams) > 1:
        raise TypeError(f"{name}: {' and '.join(streams)} are iterators; one of its arguments may be")
    if streams and not result.is_stream:
        raise TypeError(f"{name}: it takes an iterator, so it has to return one: `-> Iterator[{result.codec.name}]`")
    kind, type_id = _KINDS[bool(streams), result.is_stream]
    return Method(name, kind, type_id, inspect.cleandoc(function.__doc__ or ""), arguments, result)


def drop_params(function: Callable[..., Any]) -> None:
    """Give the function plain defaults instead of Params: whoever calls it without the argument gets a value."""
    dressed: Any = function
    if getattr(function, "__defaults__", None):
        dressed.__defaults__ = tuple(plain_default(one) for one in dressed.__defaults__)
    if getattr(function, "__kwdefaults__", None):
        dressed.__kwdefaults__ = {name: plain_default(one) for name, one in dressed.__kwdefaults__.items()}


def plain_default(default: object) -> object:
    """The value of a `Param`, or what is given."""
    return default.default if isinstance(default, Param) else default


def _read_signature(function: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(function, eval_str=True)
    except NameError as error:
        raise TypeError(
            f"{function.__name__}: its annotations name what is not there ({error}); import it above the class, and "
            "not under TYPE_CHECKING"
        ) from None


def _read_parameter(method: str, parameter: inspect.Parameter) -> Argument:
    name = parameter.name
    where = f"{method}: argument {name}"
    if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
        raise TypeError(f"{method}: {parameter} is not supported; name each argument, with its type")
    if name == RESERVED:
        raise TypeError(f"{where}: the name is taken; clients add an argument of this name to every method")
    if parameter.annotation is parameter.empty:
        raise TypeError(f"{where}: nothing says of what type it is; write it: `{name}: str`")
    return _read_argument(where, name, parameter.annotation, parameter.default)


def _read_argument(where: str, name: str, annotation: object, default: object = _NO_DEFAULT) -> Argument:
    try:
        codec, is_stream, is_optional = read_annotation(annotation)
    except TypeError as error:
        raise TypeError(f"{where}: {error}") from None
    is_optional = is_optional or plain_default(default) is None
    return Argument(name=name, codec=codec, is_stream=is_stream, is_optional=is_optional, default=default)


def _describe_default(field: ModelTypeField, default: object) -> None:
    if isinstance(default, Param):
        field.description = default.description or ""
        for choice in default.choices or ():
            field.model_type_enum_options.add().id = str(choice)
        if default.min_value is not None:
            field.model_type_range_info.min = float(default.min_value)
        if default.max_value is not None:
            field.model_type_range_info.max = float(default.max_value)
        field.is_param = default.is_param
    field.default = _show_default(plain_default(default))


def _show_default(value: object) -> str:
    """As clients read it: a text as it is, all else as JSON where JSON knows it."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        return repr(value) if isinstance(value, MessageData) else str(value)
