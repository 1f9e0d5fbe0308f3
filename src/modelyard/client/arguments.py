"""Arguments of typed methods from what people type: `name=value`, read by the type that the signature says."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelyard.client.inputs import is_url
from modelyard.errors import InvalidInput
from modelyard.parts.typed_samples import choose_method
from modelyard.sdk.typed.codec import DataType, WrongValue
from modelyard.sdk.typed.fields import find_codec
from modelyard.sdk.values.media import Audio, Image, Media, Video
from modelyard.wire.messages import Input, MethodSignature, ModelTypeField
from modelyard.wire.signatures import name_method

_MEDIA: Mapping[int, type[Media]] = {DataType.IMAGE: Image, DataType.AUDIO: Audio, DataType.VIDEO: Video}
_TEXTS = (DataType.STR, DataType.TEXT)


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

    A VALUE is a text as it is, `@FILE` or a URL for images, audio, video and bytes, and JSON for all else.

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
    if field.type in _TEXTS:
        return _read_file(field, text).decode("utf-8", "replace") if text.startswith("@") else text
    if field.type == DataType.BYTES:
        return _read_file(field, text)
    if field.type in _MEDIA:
        kind = _MEDIA[field.type]
        return kind(url=text) if is_url(text) else kind(bytes=_read_file(field, text))
    if field.type in (DataType.CONCEPT, DataType.REGION, DataType.FRAME):
        raise KeyError(field.type)
    try:
        return json.loads(text)
    except ValueError:
        raise InvalidInput(f"--arg {field.name}={text}: it is read as JSON, and is none") from None


def _read_file(field: ModelTypeField, text: str) -> bytes:
    try:
        return Path(text.removeprefix("@")).read_bytes()
    except OSError as error:
        raise InvalidInput(f"--arg {field.name}={text}: {error.strerror}; give @FILE") from None
