"""Bodies of the requests of one path. Of a plain one that is written as the last one was, nothing but the text is
looked at."""

from __future__ import annotations

from typing import Final

from modelyard.server.api.rest.requests import make_other, make_plain_request, read_names
from modelyard.server.api.rest.routes import Match
from modelyard.server.api.rest.usual import find_only_text, read_usual
from modelyard.server.api.v2.call import UNREAD, Incoming
from modelyard.server.api.v2.plain import make_plain
from modelyard.wire.outline import LARGE_BYTES

MAX_LESSONS: Final = 16
"""Who writes each request in another way is not learned from any more."""
_SPECIAL: Final = bytes(range(0x20)) + b'"\\'
"""What a JSON string has to write in another way."""


class Bodies:
    """Reads requests for the model of one path. A program writes the same JSON around its texts each time.

    Args:
        match: The path.
    """

    __slots__ = ("_back", "_front", "_lessons", "_match", "_named", "_names")

    def __init__(self, match: Match) -> None:
        self._match = match
        self._names, self._named = read_names(match)
        self._front = self._back = b""
        """What is around the text, with its quotes; empty where nothing is known."""
        self._lessons = 0

    def read(self, body: bytes) -> Incoming | None:
        """A request that is not large. One that is plain (`v2/plain.py`) is not parsed. Raises `InvalidRequest`."""
        front, back = self._front, self._back
        if front and body.startswith(front) and body.endswith(back):
            text = body[len(front) : -len(back)]
            raw = make_plain(self._names, text) if is_simple(text) else None
            if raw is not None:
                return Incoming(UNREAD, raw, self._named)
        if len(body) > LARGE_BYTES:
            return None
        usual = read_usual(body)
        plain = None if usual is None else make_plain_request(self._match, usual)
        if usual is None or plain is None:
            return make_other(self._match, body, usual)
        self._learn(body, find_only_text(usual) or "")
        return Incoming(UNREAD, *plain)

    def _learn(self, body: bytes, told: str) -> None:
        """Where is the text, and does what is around it mean the same with another one?"""
        text = told.encode()
        if self._lessons >= MAX_LESSONS or not is_simple(text):
            return
        at = body.rfind(b'"%b"' % text) + 1
        if not at:
            return
        self._lessons += 1
        front, back = body[:at], body[at + len(text) :]
        usual = read_usual(b"%b%b.%b" % (front, text, back))
        if usual is not None and find_only_text(usual) == f"{told}.":
            self._front, self._back = front, back


def is_simple(text: bytes) -> bool:
    """Is it a string of JSON that stands for itself, and not empty?"""
    if not text or len(text.translate(None, _SPECIAL)) != len(text):
        return False
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
