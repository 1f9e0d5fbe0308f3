"""Arguments of typed methods from what people type: `name=value`, read by the type that the signature says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelyard.client.inputs import is_url
from modelyard.errors import InvalidInput
from modelyard.parts.typed_samples import choose_method
from modelyard.sdk.typed.codec import DataType, WrongValue
from modelyard.sdk.typed.fields import find_codec
from modelyard.sdk.values.concept import Concept
from modelyard.sdk.values.frame import Frame
from modelyard.sdk.values.media import Audio, Image, Media, Video
from modelyard.sdk.values.region import Region
from modelyard.wire.messages import Input, MethodSignature, ModelTypeField
from modelyard.wire.signatures import name_method

_MEDIA: Mapping[int, type[Media]] = {DataType.IMAGE: Image, DataType.AUDIO: Audio, DataType.VIDEO: Video}
_TEXTS = (DataType.STR, DataType.TEXT)
_IMAGE, _CONCEPTS, _REGIONS = (
    ModelTypeField(type=DataType.IMAGE),
    ModelTypeField(type=DataType.LIST, type_args=[ModelTypeField(type=DataType.CONCEPT)]),
    ModelTypeField(type=DataType.LIST, type_args=[ModelTypeField(type=DataType.REGION)]),
)
_PLAIN = ModelTypeField(type=DataType.JSON_DATA)
_OBJECTS: Mapping[int, tuple[Callable[..., object], Mapping[str, ModelTypeField]]] = {
    DataType.CONCEPT: (Concept, dict.fromkeys(("name", "value", "id"), _PLAIN)),
    DataType.REGION: (
        Region,
        {
            "box": _PLAIN,
            "concepts": _CONCEPTS,
            "mask": _IMAGE,
            **dict.fromkeys(("point", "track_id", "text", "id"), _PLAIN),
        },
    ),
    DataType.FRAME: (Frame, {"image": _IMAGE, "regions": _REGIONS, "time": _PLAIN, "index": _PLAIN}),
}
"""What the JSON of a value may say: the arguments of its class in `clarifai.runners.utils.data_types`."""


def find_method(signatures: Sequence[MethodSignature], name: str) -> MethodSignature:
    """The method of this name; without one, that which is asked first. Raises InvalidInput."""
    found = next((one for one in signatures if one.name == name), None) if name else choose_method(signatures)
    if found is None:
        known = ", ".join(one.name for one in signatures)
        told = f"it has {known}" if known else "it has no typed methods"
        raise InvalidInput(f"the model has no method {name!r}; {told}")
    return found


def make_arguments(signature: MethodSignature, given: Iterable[str]) -> Input:
    """One input with these arguments, `NAME=VALUE` each.

    A VALUE is a text as it is, `@FILE` or a URL for images, audio, video and bytes, and JSON for all else: a concept is
    `{"name": "bus", "value": 0.5}`, and in lists, regions and frames images are `"@FILE"` or a URL, too.

    Raises:
        InvalidInput: An argument is not known, missing, or not of its type; the message says which and what is allowed.
    """
    fields = {one.name: one for one in signature.input_fields}
    made = Input()
    for one in given:
        name, separator, text = one.partition("=")
        if not separator or name not in fields:
            known = ", ".join(fields) or "none"
            raise InvalidInput(f"--arg {one!r} is not NAME=VALUE of an argument of {signature.name}: {known}")
        part = made.data.parts.add()
        part.id = name
        _write(fields[name], text, part.data)
    named = {part.id for part in made.data.parts}
    if missing := [one.name for one in signature.input_fields if one.required and one.name not in named]:
        raise InvalidInput(
            f"{signature.name} needs {', '.join(missing)}", hint=" ".join(f"--arg {name}=..." for name in missing)
        )
    return name_method(made, signature.name)


def _write(field: ModelTypeField, text: str, data: Any) -> None:
    try:
        find_codec(field).write(data, _read_value(field, text))
    except WrongValue as error:
        raise InvalidInput(f"--arg {field.name}: {error}") from None
    except (KeyError, IndexError, ImportError):
        raise InvalidInput(f"--arg {field.name}: its type cannot be given here; use a published client") from None


def _read_value(field: ModelTypeField, text: str) -> object:
    try:
        if field.type in _TEXTS:
            return _read_file(text).decode("utf-8", "replace") if text.startswith("@") else text
        if field.type == DataType.BYTES or field.type in _MEDIA:
            return _convert(field, text)
        return _convert(field, json.loads(text))
    except InvalidInput as error:
        raise InvalidInput(f"--arg {field.name}={text}: {error.message}", hint=error.hint) from None
    except ValueError:
        raise InvalidInput(f"--arg {field.name}={text}: it is read as JSON, and is none") from None


def _convert(field: ModelTypeField, value: Any) -> object:
    """A value of the field's type from what JSON has in its place; what does not fit is for the codec to refuse."""
    if field.type == DataType.LIST and isinstance(value, list):
        return [_convert(field.type_args[0], one) for one in value]
    if field.type == DataType.TUPLE and isinstance(value, list) and len(value) == len(field.type_args):
        return [_convert(inner, one) for inner, one in zip(field.type_args, value, strict=True)]
    if field.type == DataType.NAMED_FIELDS and isinstance(value, dict):
        inners = {one.name: one for one in field.type_args}
        return {name: _convert(inners[name], one) if name in inners else one for name, one in value.items()}
    if field.type == DataType.BYTES and isinstance(value, str):
        return _read_file(value)
    if field.type in _MEDIA and isinstance(value, str):
        return _read_media(_MEDIA[field.type], value)
    if field.type in _OBJECTS and isinstance(value, dict):
        return _build(field.type, value)
    return value


def _build(kind: int, given: dict[str, Any]) -> object:
    """A concept, a region or a frame."""
    make, fields = _OBJECTS[kind]
    name_of_kind = DataType.Name(kind).lower()
    hint = f"a {name_of_kind} has {', '.join(fields)}"
    if unknown := sorted(given.keys() - fields):
        raise InvalidInput(f"no {name_of_kind} has {', '.join(unknown)}", hint=hint)
    parts = {name: _convert(fields[name], value) for name, value in given.items()}
    try:
        return make(**parts)
    except (TypeError, ValueError, AttributeError) as error:
        raise InvalidInput(f"it makes no {name_of_kind}: {error}", hint=hint) from None


def _read_media(kind: type[Media], text: str) -> Media:
    return kind(url=text) if is_url(text) else kind(bytes=_read_file(text))


def _read_file(text: str) -> bytes:
    try:
        return Path(text.removeprefix("@")).read_bytes()
    except OSError as error:
        raise InvalidInput(f"{error.strerror}; give @FILE") from None
