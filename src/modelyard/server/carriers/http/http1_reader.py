"""Requests as HTTP/1.1 writes them: bytes in, one request at a time out.

llhttp says whether they are HTTP to the letter, and nothing is believed before it has. It parses on through all that it
is given, so it is given no more than one request: a head and chunks end at an empty line, and all else is counted. Of a
head that is, byte for byte, the last one, and says how long its body is, it has said so already.
"""

from __future__ import annotations

from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from modelyard.server.carriers.base import HEADER_BYTES
from modelyard.server.carriers.http.heads import are_alike
from modelyard.server.carriers.http.http1_head import Refusal, RequestHead, read_head

EMPTY_LINE: Final = b"\r\n\r\n"
BAD_VERSION: Final = "Invalid HTTP version"
"""What llhttp says of a version that there is none of."""


class RequestReader:
    """One request after the other: `read` until it `is_whole`, then `restart`."""

    __slots__ = (
        "_extra_bytes",
        "_is_confused",
        "_is_proven",
        "_last_text",
        "_parser",
        "_tail",
        "_text",
        "body",
        "has_head",
        "head",
        "is_whole",
        "keeps_alive",
        "left_bytes",
    )

    head: RequestHead
    """To be read where it `has_head`."""

    def __init__(self) -> None:
        self._parser: HttpRequestParser | None = HttpRequestParser(self)
        self._text = b""
        """What came of a head that is not whole."""
        self._last_text = b""
        """The last head. Clients that keep a connection often send the same one again."""
        self._is_proven = False
        """Has llhttp read a whole request with that head, one that leaves the connection open?"""
        self._tail = b""
        self._extra_bytes = 0
        self._is_confused = False
        self.has_head = False
        self.is_whole = False
        self.keeps_alive = False
        """May the connection be kept?"""
        self.body: list[bytes] = []
        """What came of the body and was not taken yet."""
        self.left_bytes: int | None = 0
        """How much of the body is to come; None where only its last chunk will tell."""

    def restart(self) -> None:
        """The next request begins."""
        self.has_head = False
        self.is_whole = False
        self._extra_bytes = 0

    def close(self) -> None:
        """Nothing more will be read."""
        self._parser = None

    @property
    def is_begun(self) -> bool:
        """Has anything of a request arrived?"""
        return self.has_head or bool(self._text)

    def read(self, data: bytes) -> bytes:
        """Read on, to the end of this request at most, and return what lies behind it. Raises `Refusal`."""
        if not self.has_head:
            data = self._read_head(data)
        if data and not self.is_whole:
            data = self._read_chunks(data) if self.left_bytes is None else self._read_counted(data, 0)
        return data

    def take_body(self) -> bytes:
        """What came of the body since the last time."""
        pieces = self.body
        self.body = []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _read_head(self, data: bytes) -> bytes:
        """Read a head, and as much of a counted body as came with it."""
        before = self._text
        if not before and data[:1] <= b"\r":
            data = data.lstrip(b"\r\n")  # as RFC 9112 (2.2) asks for
        text = before + data if before else data
        end = text.find(EMPTY_LINE, max(0, len(before) - 3))
        if (len(text) if end < 0 else end) > HEADER_BYTES - len(EMPTY_LINE):
            what, status = ("headers are", 431) if b"\r\n" in text[:HEADER_BYTES] else ("URL is", 414)
            raise Refusal(status, f"the {what} longer than {HEADER_BYTES} bytes")
        if end < 0:
            self._text = text
            self._feed(data)
            return b""
        self._text = b""
        text = text[:end]
        if text != self._last_text:
            head = read_head(text)
            if self._last_text and are_alike(head.scope, self.head.scope, head.headers, self.head.headers):
                head = head._replace(memo=self.head.memo)
            self.head, self._last_text, self._is_proven = head, text, False
        length = self.left_bytes = self.head.length
        size = end + len(EMPTY_LINE) - len(before)
        if self._is_proven and not before and length is not None and size + length <= len(data):
            return self._take_whole(data, size, size + length)
        return self._read_counted(data, size)

    def _take_whole(self, data: bytes, start: int, end: int) -> bytes:
        """Its head is known to be HTTP, and its body is in here."""
        self.has_head = self.is_whole = True
        self.left_bytes = 0
        if end > start:
            self.body.append(data[start:end])
        return data[end:]

    def _read_counted(self, data: bytes, size: int) -> bytes:
        """Read so much of a head, and what is there of a body that is counted."""
        left = self.left_bytes
        if left:
            of_body = min(left, len(data) - size)
            self.left_bytes = left = left - of_body
            size += of_body
        if size == len(data):
            self._feed(data)
            data = b""
        else:
            self._feed(data[:size])
            data = data[size:]
        self._check(has_to_be_whole=left == 0)
        self._is_proven = left == 0 and self.keeps_alive
        return data

    def _read_chunks(self, data: bytes) -> bytes:
        """Chunks have lines of their own, and trailers: those have a bound of their own, for nobody reads them."""
        start, end = len(self._tail), 0
        data = self._tail + data
        while start < len(data) and not self.is_whole:
            end = data.find(EMPTY_LINE, end)
            end = len(data) if end < 0 else end + len(EMPTY_LINE)
            self._feed(data[start:end])
            self._extra_bytes = 0 if self.body else self._extra_bytes + end - start
            if self._extra_bytes > HEADER_BYTES:
                raise Refusal(431, f"the trailers are longer than {HEADER_BYTES} bytes")
            start = end
        self._check(has_to_be_whole=self.is_whole)
        self._tail = b"" if self.is_whole else data[-3:]
        return data[start:]

    def _feed(self, piece: bytes) -> None:
        parser = self._parser
        assert parser is not None
        try:
            parser.feed_data(piece)
        except HttpParserUpgrade as upgrade:
            self._ignore_upgrade(piece[upgrade.args[0] :])
        except HttpParserError as error:
            raise Refusal(505 if str(error) == BAD_VERSION else 400, f"not HTTP: {error}") from error

    def _check(self, *, has_to_be_whole: bool) -> None:
        """Has llhttp seen head and end where we did?"""
        if self._is_confused or not self.has_head or self.is_whole != has_to_be_whole:
            raise Refusal(400, "not HTTP: a request ends where it does not say so")

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Go on as if none had been offered. llhttp takes the body for the other protocol's, so another parser has to
        read it, and it has to hear of the body first."""
        self._parser = HttpRequestParser(self)
        if self.head.length == 0:
            return
        self.is_whole = False
        framing = b"\r\n".join(b"%b: %b" % one for one in self.head.framing)
        self._feed(b"POST / HTTP/1.1\r\n" + framing + EMPTY_LINE)
        self._feed(rest)

    # What llhttp calls. What is raised here reaches nobody as it is, so nothing is.

    def on_message_begin(self) -> None:
        """A request begins. Not behind another one, without our knowing."""
        self._is_confused = self.is_whole

    def on_headers_complete(self) -> None:
        """The head is whole."""
        if not self.has_head:
            assert self._parser is not None
            self.has_head = True
            self.keeps_alive = self._parser.should_keep_alive()

    def on_body(self, piece: bytes) -> None:
        """A piece of the body."""
        self.body.append(piece)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self.is_whole = True
