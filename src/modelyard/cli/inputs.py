"""Inputs as options give them: '-' stands for what comes in at stdin."""

from __future__ import annotations

import sys

from modelyard.client.inputs import make_media_input, make_text_input
from modelyard.errors import InvalidInput
from modelyard.wire.messages import Input

STDIN = "-"


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
