from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from google.protobuf import text_format

from modelyard.sdk.model_class import ModelClass
from modelyard.sdk.typed.method import read_method
from modelyard.sdk.typed_marks import list_typed_methods
from modelyard.sdk.values.all import Image, NamedFields, Param, Text

if TYPE_CHECKING:
    from decimal import Decimal


class Base(ModelClass):
    @ModelClass.method
    def first(self, x: int) -> int:
        return x

    @ModelClass.method
    def second(self) -> str:
        return ""


class Model(Base):
    @ModelClass.method
    def predict(
        self,
        text: str,
        times: int = Param(default=3, description="How often.", min_value=1, choices=[1, 3]),  # type: ignore[assignment]
        *,
        picture: Image = None,  # type: ignore[assignment]
        title: Text = Text("hey"),  # noqa: B008 - as authors write it
        flags: list[str] = [],  # noqa: B006 - as above
    ) -> str:
        """Say it.

        Often.
        """
        return text * times

    @ModelClass.method
    def second(self) -> Iterator[str]:  # type: ignore[override]
        yield ""

    def helper(self) -> str:
        return ""


def test_a_signature_is_what_published_clients_read() -> None:
    expected = """
        name: "predict" method_type: UNARY_UNARY description: "Say it.\\n\\nOften."
        input_fields { name: "text" type: STR required: true }
        input_fields {
          name: "times" type: INT default: "3" description: "How often." is_param: true
          model_type_enum_options { id: "1" } model_type_enum_options { id: "3" } model_type_range_info { min: 1 }
        }
        input_fields { name: "picture" type: IMAGE default: "null" }
        input_fields { name: "title" type: TEXT default: "Text(text=\\'hey\\', url=None)" }
        input_fields { name: "flags" type: LIST default: "[]" type_args { name: "flags_item" type: STR } }
        output_fields { name: "return" type: STR }
    """
    signature = list_typed_methods(Model)["predict"].signature
    assert signature == text_format.Parse(expected, type(signature)())


def test_methods_come_in_the_order_of_their_definition_with_inherited_ones_first() -> None:
    found = list_typed_methods(Model)
    assert [(name, one.kind) for name, one in found.items()] == [
        ("first", "predict"),
        ("second", "generate"),
        ("predict", "predict"),
    ]


def test_the_function_itself_has_plain_defaults() -> None:
    assert Model().predict("a") == "aaa"


def test_the_kind_of_a_method_is_said_by_iterators() -> None:
    def stream(self: object, items: Iterator[NamedFields(x=int)], n: int = 1) -> Iterator[str]:  # type: ignore[valid-type]
        yield ""

    method = read_method(stream)
    assert (method.kind, method.stream_argument and method.stream_argument.name) == ("stream", "items")
    assert str(method) == "stream(items: Iterator[NamedFields(x=int)], n: int) -> Iterator[str]"


def no_result(self: object, x: int): ...  # type: ignore[no-untyped-def]
def none_result(self: object, x: int) -> None: ...
def no_type(self: object, x) -> str: ...  # type: ignore[no-untyped-def,empty-body]
def bad_type(self: object, x: set[int]) -> str: ...  # type: ignore[empty-body]
def bad_result(self: object) -> complex: ...  # type: ignore[empty-body]
def many(self: object, *texts: str) -> str: ...  # type: ignore[empty-body]
def taken(self: object, with_proto: bool) -> str: ...  # type: ignore[empty-body]
def two(self: object, a: Iterator[str], b: Iterator[str]) -> Iterator[str]: ...  # type: ignore[empty-body]
def one_way(self: object, a: Iterator[str]) -> str: ...  # type: ignore[empty-body]
def hidden(self: object, a: Decimal) -> str: ...  # type: ignore[empty-body]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (no_result, "no_result: nothing says what it returns; write it behind the arguments"),
        (none_result, "none_result: nothing says what it returns"),
        (no_type, "no_type: argument x: nothing says of what type it is; write it: `x: str`"),
        (bad_type, "bad_type: argument x: set[int] is not supported; allowed are str, bytes,"),
        (bad_result, "bad_result: its result: complex is not supported"),
        (many, "many: *texts: 'str' is not supported; name each argument"),
        (taken, "taken: argument with_proto: the name is taken"),
        (two, "two: a and b are iterators; one of its arguments may be"),
        (one_way, "one_way: it takes an iterator, so it has to return one: `-> Iterator[str]`"),
        (hidden, "hidden: its annotations name what is not there (name 'Decimal' is not defined)"),
    ],
)
def test_a_definition_that_cannot_be_called_is_told_at_once(function: object, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        read_method(function)  # type: ignore[arg-type]
    assert str(caught.value).startswith(message.replace("'str'", "str"))
