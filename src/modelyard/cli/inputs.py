"""Inputs as options give them: '-' stands for what comes in at stdin."""

from __future__ import annotations

import sys
from pathlib import Path

from modelyard.client.inputs import is_url, make_media_input, make_text_input, make_url_input
from modelyard.errors import InvalidInput
from modelyard.local.media import recognise
from modelyard.wire.messages import Input

STDIN = "-"


def read_input(value: str) -> Input:
    """Whatever it is: a file by its ending or its first bytes, a URL by its ending, else a text; stdin by its bytes."""
    if value == STDIN:
        return _read_content(sys.stdin.buffer.read(), "stdin")
    if is_url(value):
        return make_url_input(value)
    path = Path(value)
    try:
        is_file = path.is_file()
    except (OSError, ValueError):  # a text too long, or with characters, that no name of a file has
        is_file = False
    if is_file:
        return _read_content(path.read_bytes(), value)
    if path.suffix and path.parent != Path() and "\n" not in value and " " not in value:
        raise InvalidInput(f"--input {value}: there is no such file", hint=f"if it is a text: --text {value!r}")
    return make_text_input(value)


def _read_content(content: bytes, name: str) -> Input:
    if not content:
        raise InvalidInput(f"--input: {name} is empty")
    kind, _ = recognise(content)
    if kind:
        return make_media_input(kind, content)
    try:
        return make_text_input(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise InvalidInput(
            f"--input: {name} begins like no image, sound or video that is known, and is not UTF-8 text",
            hint="say what it is: --image, --audio or --video",
        ) from None


def read_text(value: str) -> Input:
    """A text, or stdin's."""
    return make_text_input(sys.stdin.read() if value == STDIN else value)


def read_media(kind: str, value: str) -> Input:
    """An image, audio or video from a file, a URL or stdin. Raises InvalidInput where nothing can be read."""
    if value != STDIN:
        return make_media_input(kind, value)
    content = sys.stdin.buffer.read()
    if not content:
        raise InvalidInput(f"--{kind} -: nothing came in at stdin", hint=f"such as --{kind} - < FILE")
    return make_media_input(kind, content)
