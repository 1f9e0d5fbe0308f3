from __future__ import annotations

from collections.abc import Iterator

from modelyard.parts.typed_samples import TEXT, choose_method, make_typed_sample
from modelyard.sdk.typed.call import read_arguments
from modelyard.sdk.typed.method import read_method
from modelyard.sdk.values.all import JSON, Audio, Concept, Frame, Image, NamedFields, Param, Region, Text, Video


def everything(
    self: object, s: str, i: int, f: float, b: bool, raw: bytes, t: Text, img: Image, au: Audio, vi: Video, c: Concept,
    r: Region, fr: Frame, js: JSON, d: dict, cs: list[Concept], ls: list[str], p: tuple[int, list[str]],
    nf: NamedFields(x=int, y=Image), it: Iterator[str], left: int = 3,  # type: ignore[valid-type]
) -> Iterator[str]: ...  # type: ignore[empty-body]  # fmt: skip


def easy(self: object, text: str = "", more: str = "") -> str: ...  # type: ignore[empty-body]
def setting(self: object, mode: str = Param(default="", choices=["a"])) -> str: ...  # type: ignore[empty-body,assignment]
def least(self: object, n: int, mode: str) -> str: ...  # type: ignore[empty-body]
def generate(self: object, text: str) -> Iterator[str]: ...  # type: ignore[empty-body]


def test_a_sample_has_each_argument_that_has_to_be_given() -> None:
    method = read_method(everything)
    made = make_typed_sample(method.signature)
    assert made.data.metadata["_method_name"] == "everything"
    found = read_arguments(method, made.data, {})
    assert list(found) == [one.name for one in method.arguments if one.name != "left"]
    assert (found["s"], found["i"], found["b"], found["cs"][0].name) == (TEXT, 1, True, "sample")  # type: ignore[index]
    assert found["img"].bytes.startswith(b"\x89PNG")  # type: ignore[attr-defined]
    assert (found["p"], found["nf"].x) == ((1, [TEXT]), 1)  # type: ignore[attr-defined]


def test_a_text_that_may_be_empty_is_sent_where_nothing_else_is() -> None:
    assert [part.id for part in make_typed_sample(read_method(easy).signature).data.parts] == ["text"]
    assert not make_typed_sample(read_method(setting).signature).data.parts


def test_a_number_is_the_least_that_makes_sense_and_a_choice_the_first() -> None:
    signature = read_method(least).signature
    signature.input_fields[0].model_type_range_info.min = 5
    signature.input_fields[1].model_type_enum_options.add().id = "loud"
    made = make_typed_sample(signature)
    assert (made.data.parts[0].data.int_value, made.data.parts[1].data.string_value) == (5, "loud")


def test_the_method_to_ask_first_is_called_like_its_kind() -> None:
    signatures = [read_method(one).signature for one in (everything, least, easy, generate)]
    assert choose_method(signatures).name == "least"  # type: ignore[union-attr]
    assert choose_method(signatures, "generate").name == "generate"  # type: ignore[union-attr]
    assert choose_method(signatures, "stream").name == "everything"  # type: ignore[union-attr]
    assert choose_method([]) is None
