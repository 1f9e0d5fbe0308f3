"""Inputs of a prediction from what people have: texts, files, URLs, and V2 data as JSON."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Mapping
from pathlib import Path

from google.protobuf.json_format import ParseDict, ParseError

from modelyard.data.audio import Audio
from modelyard.data.image import Image
from modelyard.data.media import Media
from modelyard.data.text import Text
from modelyard.data.video import Video
from modelyard.errors import InvalidInput
from modelyard.wire.messages import Input

KINDS: Mapping[str, type[Media]] = {"image": Image, "audio": Audio, "video": Video}


def make_text_input(text: str) -> Input:
    """One text."""
    return _make_input(Text(raw=text))


def make_media_input(kind: str, source: str | bytes) -> Input:
    """An image, audio or video (`kind`) from a file's path, from a URL, or from its bytes.

    Raises InvalidInput where the file cannot be read.
    """
    medium = KINDS[kind]
    if isinstance(source, bytes):
        return _make_input(medium(content=source))
    if is_url(source):
        return _make_input(medium(url=source))
    return _make_input(medium(content=_read_file(source)))


def make_file_input(source: str) -> Input:
    """A file or URL whose kind is told by the ending of its name; what is not media is text."""
    kind = (mimetypes.guess_type(source)[0] or "text/plain").split("/")[0]
    if kind in KINDS:
        return make_media_input(kind, source)
    if is_url(source):
        return _make_input(Text(url=source))
    try:
        return make_text_input(_read_file(source).decode("utf-8"))
    except UnicodeDecodeError:
        raise InvalidInput(
            f"{source} is neither image, audio nor video by its name, and not UTF-8 text",
            hint="say what it is: --image, --audio or --video",
        ) from None


def make_url_input(url: str) -> Input:
    """Something behind a URL; a URL whose ending tells nothing is taken for an image, as most are."""
    if not is_url(url):
        raise InvalidInput(f"{url!r} is not an http or https URL")
    kind = (mimetypes.guess_type(url.split("?", maxsplit=1)[0])[0] or "image/any").split("/")[0]
    return make_media_input(kind, url) if kind in KINDS else _make_input(Text(url=url))


def read_json_inputs(text: str) -> list[Input]:
    """V2 inputs as JSON: one `{"data": {...}}`, a list of them, or a whole request with `inputs`."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidInput(f"the input is not JSON: {error}") from None
    if isinstance(document, dict) and "inputs" in document:
        document = document["inputs"]
    found = document if isinstance(document, list) else [document]
    try:
        return [ParseDict(one if "data" in one else {"data": one}, Input()) for one in found]
    except (ParseError, TypeError) as error:
        raise InvalidInput(
            f"the JSON is not a V2 input: {error}", hint='such as {"data": {"text": {"raw": "hello"}}}'
        ) from None


def is_url(text: str) -> bool:
    """Is it an http or https URL?"""
    return text.startswith(("http://", "https://"))


def _make_input(value: Media | Text) -> Input:
    made = Input()
    value.write(made.data)
    return made


def _read_file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or error}") from None
