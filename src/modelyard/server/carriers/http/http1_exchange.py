"""One request of an HTTP/1.1 connection, and its answer."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from modelyard.server.carriers.http.exchange import Event, Exchange, Headers
from modelyard.server.carriers.http.heads import may_be_silent
from modelyard.server.carriers.http.http1_answer import Answer
from modelyard.server.carriers.http.http1_head import RequestHead
from modelyard.server.carriers.http.http1_outlet import Outlet

BODY_BYTES: Final = 256 * 1024
"""Reading stops while so much of a body waits for the application."""
BODY_PIECES: Final = 2048
"""As above, for bodies that come in crumbs."""
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Line(Protocol):
    """What an exchange knows of its connection."""

    @property
    def outlet(self) -> Outlet:
        """Where to write."""
        ...

    @property
    def is_paused(self) -> bool:
        """Does nothing more come until there is room?"""
        ...

    def has_to_close(self, *, is_last: bool) -> bool:
        """Is an answer that begins now the connection's last one? `is_last`: it ends now as well."""
        ...

    def on_room(self) -> None:
        """The application took of the body, and there is room for more."""
        ...

    def conclude(self, exchange: Http1Exchange) -> None:
        """The application is done with it."""
        ...


class Http1Exchange(Exchange):
    """Made by a connection.

    Args:
        line: That connection.
        head: The request's.
        loop: See `Exchange`.
    """

    __slots__ = ("_line", "_outlet", "answer", "expects_continue", "head")

    def __init__(self, line: Line, head: RequestHead, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop, head.memo)
        self._line = line
        self._outlet = line.outlet
        self.head = head
        self.answer = Answer(is_head=head.is_head, is_old=head.is_old)
        self.expects_continue = head.expects_continue
        """Does the client wait for a word before it sends the body?"""

    @property
    def headers(self) -> Headers:
        """See `Shortcuts`."""
        return self.head.headers

    @property
    def is_silent(self) -> bool:
        """May its body pause for as long as it likes?"""
        return may_be_silent(self.head.scope["path"], self.head.headers)

    @property
    def is_full(self) -> bool:
        """Does as much of the body wait for the application as may?"""
        return self._buffered > BODY_BYTES or len(self._pieces) > BODY_PIECES

    def reply(self, status: int, headers: Headers, body: bytes, trailers: Headers | None = None) -> bool:
        """See `Shortcuts`."""
        answer, outlet = self.answer, self._outlet
        if self._is_gone or trailers is not None or outlet.is_blocked:
            return False
        answer.start({"status": status, "headers": headers})
        outlet.write(answer.add(body, has_more=False, closes=self._line.has_to_close(is_last=True)), len(body))
        self._end_answer()
        return True

    async def send(self, event: Event) -> None:
        """See `Exchange`."""
        answer = self.answer
        if self._is_gone and not answer.is_complete:
            raise ConnectionResetError("the client has gone")
        match event["type"]:
            case "http.response.start":
                answer.start(event)
                return
            case "http.response.body":
                body, has_more = event.get("body", b""), event.get("more_body", False)
            case other:
                raise RuntimeError(f"HTTP/1.1 has no {other!r}")
        closes = not answer.is_begun and self._line.has_to_close(is_last=not has_more)
        outlet = self._outlet
        outlet.write(answer.add(body, has_more=has_more, closes=closes), len(body))
        if outlet.is_blocked:
            await outlet.wait_for_room()
            if self._is_gone:
                raise ConnectionResetError("the client has gone")
        if not has_more:
            self._end_answer()

    def on_wait(self) -> None:
        """See `Exchange`."""
        if self.expects_continue and not self.answer.is_begun and not self._has_ended:
            self.expects_continue = False
            self._outlet.write([CONTINUE], 0)

    def on_taken(self, size: int) -> None:  # noqa: ARG002 - what is left is what counts here
        """See `Exchange`."""
        if self._line.is_paused and not self.is_full:
            self._line.on_room()

    def conclude(self) -> None:
        """See `Exchange`."""
        self._line.conclude(self)
