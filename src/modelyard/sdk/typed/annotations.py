"""From an annotation to its codec. What a type is, is told without importing numpy or Pillow."""

from __future__ import annotations

import types
from collections import abc
from typing import Any, NamedTuple, Union, get_args, get_origin

from modelyard.sdk.arrays import is_array_class
from modelyard.sdk.images import is_image_class
from modelyard.sdk.typed.arrays import Array
from modelyard.sdk.typed.atoms import BOOL, BYTES, FLOAT, INT, STR
from modelyard.sdk.typed.codec import Codec, DataType
from modelyard.sdk.typed.containers import FieldsOf, ListOf, TupleOf
from modelyard.sdk.typed.documents import Document
from modelyard.sdk.typed.messages import AUDIO, CONCEPT, FRAME, IMAGE, REGION, TEXT, VIDEO, Single
from modelyard.sdk.values.concept import Concept
from modelyard.sdk.values.frame import Frame
from modelyard.sdk.values.media import Audio, Image, Video
from modelyard.sdk.values.named_fields import list_named_fields
from modelyard.sdk.values.region import Region
from modelyard.sdk.values.text import JSON, Text

ALLOWED = (
    "str, bytes, int, float, bool, dict, list, list[T], tuple[T, ...each], Optional[T], NamedFields(x=T), Text, Image, "
    "Audio, Video, Concept, Region, Frame, JSON, numpy.ndarray, PIL.Image.Image"
)
_KNOWN: dict[object, Codec] = {
    str: STR,
    bytes: BYTES,
    int: INT,
    float: FLOAT,
    bool: BOOL,
    Text: TEXT,
    Image: IMAGE,
    Audio: AUDIO,
    Video: VIDEO,
    Concept: CONCEPT,
    Region: REGION,
    Frame: FRAME,
    JSON: Document(name="JSON"),
    dict: Document(name="dict"),
    list: Document(name="list"),
    abc.Mapping: Document(name="dict"),
}
_STREAMS = (
    abc.Iterator, abc.Generator, abc.Iterable, abc.AsyncIterator, abc.AsyncGenerator, abc.AsyncIterable,
)  # fmt: skip
_PLAIN = (dict, list, tuple, str, int, float, bool, type(None), Any, object)
"""What a document may hold."""


class Reading(NamedTuple):
    """What an annotation says."""

    codec: Codec
    is_stream: bool
    is_optional: bool


def read_annotation(annotation: object) -> Reading:
    """Read the annotation of an argument or of a result. Raises TypeError that names the type and what is allowed."""
    is_stream = get_origin(annotation) in _STREAMS
    if is_stream:
        annotation = get_args(annotation)[0]
    inner, is_optional = _split_optional(annotation)
    return Reading(make_codec(inner), is_stream, is_optional)


def make_codec(annotation: object) -> Codec:
    """The codec of a type. Raises TypeError that names the type and what is allowed."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if is_array_class(annotation) or is_array_class(origin):
        return Array()
    if is_image_class(annotation):
        return Single(
            name="PIL.Image.Image", type_id=DataType.IMAGE, field="image", value_class=Image, python_type=annotation
        )
    if isinstance(annotation, tuple | list):
        return TupleOf(inners=tuple(make_codec(one) for one in annotation))
    fields = list_named_fields(annotation)
    if fields is not None:
        return _make_fields(fields)
    if origin in (list, abc.Sequence) and arguments:
        return Document(name="list") if arguments[0] is Any else ListOf(inner=make_codec(arguments[0]))
    if origin is tuple:
        return _make_tuple(annotation, arguments)
    if _is_document(annotation):
        return Document(name="dict")
    try:
        return _KNOWN[origin if origin is list else annotation]
    except (KeyError, TypeError):
        raise TypeError(f"{show_type(annotation)} is not supported; {_explain(annotation)}") from None


def show_type(annotation: object) -> str:
    """An annotation as an author writes it."""
    return annotation.__qualname__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)


def _split_optional(annotation: object) -> tuple[object, bool]:
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation, False
    arguments = get_args(annotation)
    others = [one for one in arguments if one is not type(None)]
    if len(others) == 1 and len(others) < len(arguments):
        return others[0], True
    raise TypeError(f"{show_type(annotation)} is not supported; a value has one type: write one of them")


def _make_fields(fields: dict[str, object]) -> FieldsOf:
    if not fields:
        raise TypeError("NamedFields has no fields; say which: NamedFields(x=int, y=str)")
    return FieldsOf(inners={name: make_codec(one) for name, one in fields.items()})


def _make_tuple(annotation: object, arguments: tuple[object, ...]) -> TupleOf:
    if not arguments or Ellipsis in arguments:
        raise TypeError(f"{show_type(annotation)} is not supported; write the type of each value, or list[T]")
    return TupleOf(inners=tuple(make_codec(one) for one in arguments))


def _is_document(annotation: object) -> bool:
    """`dict[str, ...]` of what JSON knows."""
    return get_origin(annotation) in (dict, abc.Mapping) and all(_is_plain(one) for one in get_args(annotation))


def _is_plain(annotation: object) -> bool:
    if get_origin(annotation) in (dict, list, tuple, Union, types.UnionType):
        return all(_is_plain(one) for one in get_args(annotation) if one is not Ellipsis)
    return any(annotation is one for one in _PLAIN)


def _explain(annotation: object) -> str:
    if isinstance(annotation, types.ModuleType):
        return (
            f"it is a module: write its class, such as {annotation.__name__}.{annotation.__name__.rpartition('.')[2]}"
        )
    if get_origin(annotation) in _STREAMS:
        return "Iterator stands outermost: Iterator[list[str]], not list[Iterator[str]]"
    return f"allowed are {ALLOWED}"
