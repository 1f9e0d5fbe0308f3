"""An answer as HTTP/1.1 writes it: ASGI's events in, bytes out."""

from __future__ import annotations

import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from modelyard.server.carriers.http.exchange import Event

STATUS_LINES: Final = {one.value: f"HTTP/1.1 {one.value} {one.phrase}".encode() for one in HTTPStatus}
OURS: Final = frozenset(
    {b"content-length", b"transfer-encoding", b"connection", b"keep-alive", b"proxy-connection", b"date"}
)
"""Headers of the application that are looked at: how an answer is framed, and when a connection ends, is told here."""
BODILESS: Final = (204, 304)

# How the end of a body is told.
UNDECIDED: Final = 0
COUNTED: Final = 1
CHUNKED: Final = 2
BY_CLOSING: Final = 3
BODY_LESS: Final = 4


class Answer:
    """Made for a request. The head is written with the first of the body, when it is known how the body ends.

    Args:
        is_head: The request is a HEAD: the answer has the head of a body, and no body.
        is_old: The request is HTTP/1.0, which knows no chunks.
    """

    __slots__ = ("_framing", "_has_date", "_head", "_is_head", "_is_old", "_left", "closes", "is_begun", "is_complete")

    def __init__(self, *, is_head: bool, is_old: bool) -> None:
        self._is_head = is_head
        self._is_old = is_old
        self._head = b""
        self._framing = UNDECIDED
        self._left = 0
        self._has_date = False
        self.is_begun = False
        """Has any of it been written?"""
        self.is_complete = False
        self.closes = False
        """Does it end the connection?"""

    def start(self, event: Event) -> None:
        """Keep the head, `http.response.start`. Raises `RuntimeError`."""
        status = event["status"]
        if self._head or status < 200:
            raise RuntimeError("the answer has been started already" if self._head else f"{status} starts no answer")
        if self._is_head or status in BODILESS:
            self._framing = BODY_LESS
        lines = [STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status]
        for pair in event.get("headers", ()):
            name = pair[0].lower()
            if name not in OURS or self._note(name, pair[1], status):
                lines.append(b": ".join(pair))
        lines.append(b"")
        head = b"\r\n".join(lines)
        ends = len(lines) - 1
        if head.count(b"\n") != ends or head.count(b"\r") != ends or b"\0" in head:
            raise RuntimeError("a header of the answer has a line break or a NUL in it")
        self._head = head

    def add(self, body: bytes, *, has_more: bool, closes: bool) -> list[bytes]:
        """What to write for a piece of the body. Raises `RuntimeError`.

        Args:
            body: May be empty.
            has_more: More of the body follows.
            closes: The connection has to end after this answer. Heard when the head is written.
        """
        size = len(body)
        if not self._head or self.is_complete:
            raise RuntimeError("the answer is complete already" if self._head else "the answer has not been started")
        if self._framing == COUNTED and size > self._left:
            raise RuntimeError(f"the answer's body is longer than its content-length, by {size - self._left} bytes")
        pieces = [] if self.is_begun else self._write_head(size, has_more=has_more, closes=closes)
        if self._framing == CHUNKED:
            if size:
                pieces += (b"%x\r\n" % size, body, b"\r\n")
            if not has_more:
                pieces.append(b"0\r\n\r\n")
        elif size and self._framing != BODY_LESS:
            pieces.append(body)
            self._left -= size
        if not has_more:
            self.is_complete = True
            if self._framing == COUNTED and self._left:
                self.closes = True
        return pieces

    def _note(self, name: bytes, value: bytes, status: int) -> bool:
        """See what the application said of the connection. Does the header go out as it is?"""
        if name == b"content-length":
            if not value.isdigit() or self._framing == COUNTED:
                raise RuntimeError("a content-length is a number, and there is one of it")
            if self._framing == UNDECIDED:
                self._framing = COUNTED
                self._left = int(value)
            return status != 204  # RFC 9110 (8.6) forbids it there
        if name == b"date":
            self._has_date = True
            return True
        if name == b"connection" and b"close" in value.lower():
            self.closes = True
        return False

    def _write_head(self, size: int, *, has_more: bool, closes: bool) -> list[bytes]:
        self.is_begun = True
        pieces = [self._head]
        if self._framing == UNDECIDED:
            pieces.append(self._decide(size, has_more=has_more))
        elif size and self._is_head and not has_more and b"\r\ncontent-length:" not in self._head.lower():
            pieces.append(b"content-length: %d\r\n" % size)
        if closes or self.closes:
            self.closes = True
            pieces.append(b"connection: close\r\n")
        elif self._is_old:
            pieces.append(b"connection: keep-alive\r\n")
        pieces.append(b"\r\n" if self._has_date else format_end(int(time.time())))
        return pieces

    def _decide(self, size: int, *, has_more: bool) -> bytes:
        if not has_more:
            self._framing = COUNTED
            self._left = size
            return b"content-length: %d\r\n" % size
        if self._is_old:
            self._framing = BY_CLOSING
            self.closes = True
            return b""
        self._framing = CHUNKED
        return b"transfer-encoding: chunked\r\n"


@lru_cache(maxsize=1)
def format_end(second: int) -> bytes:
    """The date, as the last header, and the empty line."""
    return f"date: {formatdate(second, usegmt=True)}\r\n\r\n".encode()


def make_plain_answer(status: int, reason: str, *, is_head: bool = False) -> bytes:
    """A whole answer in words, after which the connection ends."""
    answer = Answer(is_head=is_head, is_old=False)
    answer.start({"status": status, "headers": [(b"content-type", b"text/plain; charset=utf-8")]})
    return b"".join(answer.add(f"{reason}\n".encode(), has_more=False, closes=True))
