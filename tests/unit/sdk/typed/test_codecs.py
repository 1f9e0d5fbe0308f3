"""Every type there is, both ways."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any, Optional

import pytest
from PIL import Image as PILImage

from modelyard.sdk.typed.annotations import make_codec, read_annotation
from modelyard.sdk.typed.codec import WrongValue
from modelyard.sdk.values.all import (
    JSON,
    Audio,
    Concept,
    Frame,
    Image,
    NamedFields,
    Region,
    Text,
    Video,
)
from modelyard.wire.messages import Data


def write(annotation: object, value: object) -> Data:
    data = Data()
    make_codec(annotation).write(data, value)
    return Data.FromString(data.SerializeToString())


def travel(annotation: object, value: object) -> Any:
    return make_codec(annotation).read(write(annotation, value))


class Mood(str, Enum):
    GOOD = "good"


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (str, "é"),
        (str, ""),
        (bytes, b"\x00\xff"),
        (bytes, b""),
        (int, -(2**63)),
        (int, 0),
        (float, 0.1),
        (float, 0.0),
        (bool, True),
        (bool, False),
        (dict, {"a": [1, None, {"b": True}], "f": 0.5}),
        (dict, {}),
        (list, [1, "two", None]),
        (list, []),
        (dict[str, int], {"x": 2}),
        (dict[str, Any], {"x": [1]}),
        (list[Any], [1, "two"]),
        (JSON, {"j": 1}),
        (list[str], ["p", ""]),
        (list[str], []),
        (list[float], [0.5, 0.0]),
        (list[list[int]], [[1], [], [2, 3]]),
        (list[dict], [{"a": 1}]),
        (tuple[int, str], (0, "")),
        (list[tuple[int, str]], [(1, "a"), (2, "b")]),
        (NamedFields(x=int, y=list[str]), NamedFields(x=0, y=["a"])),
        (Text, Text("hello")),
        (Text, Text("")),
    ],
)
def test_a_value_comes_out_as_it_went_in(annotation: object, value: object) -> None:
    found = travel(annotation, value)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("kind", [Image, Audio, Video])
def test_media_travel_with_bytes_or_url(kind: type[Image]) -> None:
    assert travel(kind, kind(bytes=b"abc")).bytes == b"abc"
    assert travel(kind, kind.from_url("https://example.com/a")).url == "https://example.com/a"
    assert [one.bytes for one in travel(list[kind], [kind(bytes=b"a"), kind(bytes=b"b")])] == [b"a", b"b"]  # type: ignore[valid-type]


def test_a_pillow_image_travels_as_image() -> None:
    picture = PILImage.new("RGB", (4, 2), "red")
    data = write(PILImage.Image, picture)
    assert data.image.base64.startswith(b"\x89PNG")
    found = make_codec(PILImage.Image).read(data)
    assert isinstance(found, PILImage.Image)
    assert (found.size, found.getpixel((0, 0))) == ((4, 2), (255, 0, 0))
    assert write(Image, picture).image.base64 == data.image.base64


def test_concepts_regions_and_frames_lie_side_by_side() -> None:
    data = write(list[Concept], [Concept("cat", 0.5), Concept("a dog", 0.25, id="d")])
    assert [(one.id, one.name, one.value) for one in data.concepts] == [("cat", "cat", 0.5), ("d", "a dog", 0.25)]
    assert not data.parts
    assert travel(Concept, Concept("cat", 0.5)).value == 0.5
    assert travel(list[Concept], []) == []
    region = Region(
        box=[0.25, 0.5, 0.75, 1.0],
        concepts=[Concept("cat")],
        point=(1.0, 2.0, 3.0),
        track_id="t",
        text="x",
        mask=Image(bytes=b"m"),
    )
    found = travel(list[Region], [region])[0]
    assert (found.id, found.box, found.concepts[0].name) == (region.id, region.box, "cat")
    assert (found.point, found.track_id, found.text, found.mask.bytes) == ((1.0, 2.0, 3.0), "t", "x", b"m")
    frame = travel(Frame, Frame(image=Image(bytes=b"i"), regions=[region], time=1.5, index=3))
    assert (frame.index, frame.time, frame.image.bytes, frame.regions[0].id) == (3, 1.5, b"i", region.id)


def test_a_list_travels_in_a_struct_under_a_key_of_its_own() -> None:
    assert list(write(list, [1]).struct_value.fields) == ["_list"]
    assert travel(dict, {"_list": 1, "b": 2}) == {"_list": 1, "b": 2}


def test_parts_of_tuples_are_numbered_and_those_of_fields_named() -> None:
    assert [part.id for part in write(tuple[int, str], (1, "a")).parts] == ["0", "1"]
    assert [part.id for part in write(NamedFields(x=int, y=str), {"x": 1, "y": "a"}).parts] == ["x", "y"]
    assert [part.id for part in write(list[int], [1, 2]).parts] == ["", ""]


def test_what_fits_is_taken() -> None:
    assert write(str, Mood.GOOD).string_value == "good"
    assert write(float, 3).float_value == 3.0
    assert write(int, 3.0).int_value == 3
    assert write(Text, "plain").text.raw == "plain"
    assert make_codec(str).read(Data(text={"raw": "plain"})) == "plain"
    assert make_codec(Text).read(Data(string_value="plain")) == Text("plain")
    assert make_codec(float).read(Data(int_value=3)) == 3.0
    assert make_codec(int).read(Data(float_value=3.0)) == 3
    assert make_codec(dict).read(Data(string_value='{"a": 1}')) == {"a": 1}
    assert travel(dict, {"t": Text("x"), 1: (2, 3)}) == {"t": "x", "1": [2, 3]}
    assert travel(list[int], range(3)) == [0, 1, 2]


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (str, 1, "is a value of type int; str is expected"),
        (str, None, "is None; str is expected"),
        (int, "1", "is a value of type str; int is expected"),
        (int, 2**63, "is a value of type int; int is expected"),
        (float, "0.5", "is a value of type str; float is expected"),
        (bool, 1, "is a value of type int; bool is expected"),
        (bytes, "a", "is a value of type str; bytes is expected"),
        (Image, b"a", "is a value of type bytes; Image is expected"),
        (Concept, "cat", "is a value of type str; Concept is expected"),
        (list[str], "abc", "is a value of type str; list[str] is expected"),
        (list[str], ["a", 1], "[1] is a value of type int; str is expected"),
        (list[list[int]], [[1], ["a"]], "[1][0] is a value of type str; int is expected"),
        (tuple[int, str], (1,), "has 1 values; tuple[int, str] is expected"),
        (NamedFields(x=int), NamedFields(y=1), "lacks x; NamedFields(x=int) is expected"),
        (NamedFields(x=int), {"x": "a"}, ".x is a value of type str; int is expected"),
        (dict, "a", "is a value of type str; dict is expected"),
        (dict, {"a": [object()]}, "holds a value of type object at ['a'][0], which JSON does not know"),
        (dict, {(1,): 1}, "has the key (1,) at its top; keys of JSON are texts"),
        (str, "\ud800", "cannot be sent as str"),
    ],
)
def test_what_does_not_fit_is_told(annotation: object, value: object, message: str) -> None:
    with pytest.raises(WrongValue) as caught:
        write(annotation, value)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("annotation", "data", "message"),
    [
        (int, Data(string_value="a"), "came as string_value; int is expected"),
        (int, Data(float_value=0.5), "is a value of type float; int is expected"),
        (str, Data(int_value=1), "came as int_value; str is expected"),
        (Image, Data(), "came empty; Image is expected"),
        (Image, Data(text={"raw": "a"}), "came as text; Image is expected"),
        (PILImage.Image, Data(image={"base64": b"no image"}), "cannot be opened as PIL.Image.Image"),
        (Concept, Data(), "has 0 concepts; one Concept is expected"),
        (list[Concept], Data(int_value=1), "came as int_value; Concept is expected"),
        (list[int], Data(int_value=1), "came as int_value; list[int] is expected"),
        (tuple[int, int], Data(), "has 0 parts; tuple[int, int] is expected"),
        (NamedFields(x=int), Data(), "lacks x; NamedFields(x=int) is expected"),
        (dict, Data(), "came empty; dict is expected"),
        (dict, Data(string_value="{"), "is a text that is not JSON"),
    ],
)
def test_data_of_another_type_is_told(annotation: object, data: Data, message: str) -> None:
    with pytest.raises(WrongValue) as caught:
        make_codec(annotation).read(data)
    assert str(caught.value).startswith(message)


def test_an_annotation_says_whether_it_is_a_stream_and_whether_it_may_be_none() -> None:
    assert read_annotation(Iterator[str]).is_stream
    assert not read_annotation(str).is_stream
    assert read_annotation(Optional[str]).is_optional  # noqa: UP045 - as authors write it
    assert read_annotation(str | None).is_optional
    assert read_annotation(Iterator[str | None])[1:] == (True, True)


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        (complex, "complex is not supported; allowed are str, bytes, int,"),
        (set[str], "set[str] is not supported"),
        (int | str, "int | str is not supported; a value has one type"),
        (tuple, "tuple is not supported"),
        (tuple[int, ...], "tuple[int, ...] is not supported; write the type of each value, or list[T]"),
        (NamedFields, "NamedFields has no fields; say which"),
        (list[Iterator[str]], "collections.abc.Iterator[str] is not supported; Iterator stands outermost"),
        (PILImage, "is a module: write its class, such as PIL.Image.Image"),
        (dict[str, Image], "is not supported"),
    ],
)
def test_an_annotation_that_is_not_supported_is_told(annotation: object, message: str) -> None:
    with pytest.raises(TypeError) as caught:
        read_annotation(annotation)
    assert message in str(caught.value)
