"""One request and its answer, as ASGI sees them: what HTTP/1.1 and HTTP/2 have in common."""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from modelyard.server.carriers.base import SHORTCUTS, STRAIGHT, Send, Straight

log = logging.getLogger(__name__)

Event: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = dict[str, Any]
Headers: TypeAlias = list[tuple[bytes, bytes]]
JOIN_BYTES = 65_536
"""Pieces of a body are joined for one event, or one write, up to this size: a copy costs less than those do."""
CRUMB_BYTES = 1024
TOGETHER_BYTES = 256 * 1024
"""An application that waits is woken for so much of a body that goes on."""
TOGETHER_S = 0.001
"""A piece waits no longer than this for what goes on with it."""


class Exchange(ABC):
    """What arrives is told to it (`feed`, `end`, `hang_up`); the application takes it by `receive`, answers by `send`.

    It is the application's `Shortcuts`, too.

    Args:
        loop: The loop that everything here runs in.
        memo: See `Shortcuts.memo`.
    """

    __slots__ = (
        "_buffered",
        "_callback",
        "_has_ended",
        "_has_told_end",
        "_is_gone",
        "_loop",
        "_pieces",
        "_timer",
        "_waiter",
        "came_at",
        "memo",
        "task",
        "waits_since",
        "waits_to_begin",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, memo: dict[str, Any]) -> None:
        self._loop = loop
        self.memo = memo
        self._callback: Callable[[], None] | None = None
        self.waits_to_begin = False
        """Has nobody begun on it, because it may go straight once its body is there?"""
        self.came_at = 0.0
        self._pieces: list[bytes | bytearray] = []
        self._buffered = 0
        self._has_ended = False
        self._has_told_end = False
        self._is_gone = False
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.task: asyncio.Task[None] | None = None
        self.waits_since: float | None = None
        """Since when the application waits for the client to send more of the body; the loop's time."""

    # What the connection says.

    def begin(self, app: Any, scope: Scope) -> None:
        """Have the application answer, in a task of its own."""
        scope[SHORTCUTS] = self
        self.task = self._loop.create_task(self._answer(app, scope))

    def stand_by(self) -> None:
        """It may go straight: do not begin before its body is there."""
        self.waits_to_begin = True
        self.came_at = time.monotonic()

    def take_whole(self, body: bytes) -> bool:
        """It came in one piece, head and body: have it taken by what is there for it. False: it has to `begin`."""
        self.came_at = time.monotonic()
        self._has_ended = True
        if self._hand_over(body):
            return True
        self._pieces.append(body)
        self._buffered = len(body)
        return False

    def go_straight(self) -> bool:
        """The same, of a request whose body was fed."""
        pieces = self._pieces
        if len(pieces) != 1 or type(piece := pieces[0]) is not bytes:
            return False
        size = self._buffered
        self._pieces, self._buffered = [], 0
        if self._hand_over(piece):
            self.waits_to_begin = False
            self.on_taken(size)
            return True
        self._pieces, self._buffered = pieces, size
        return False

    def _hand_over(self, body: bytes) -> bool:
        """To the `Straight` that is there."""
        straight: Straight = self.memo[STRAIGHT]
        self._has_told_end = True
        try:
            if straight(self, body):
                return True
        except Exception:
            log.exception("carrier.crashed path=-")
        self._has_told_end = False
        return False

    def answer_late(self, answer: Callable[[Send], Awaitable[None]]) -> None:
        """See `Shortcuts`."""
        self.task = self._loop.create_task(self._answer(lambda _scope, _receive, send: answer(send), {"path": "-"}))

    def feed(self, piece: bytes, *, goes_on: bool = False) -> None:
        """Some of the body arrived. With `goes_on` more is surely under way, and worth a moment's wait."""
        size = len(piece)
        if size < CRUMB_BYTES and self._pieces:
            self._add_crumb(piece)
        else:
            self._pieces.append(piece)
        self._buffered += size
        if self._waiter is None:
            return
        if not goes_on or self._buffered >= TOGETHER_BYTES:
            self._wake()
        elif self._timer is None:
            self._timer = self._loop.call_later(TOGETHER_S, self._wake)

    def end(self) -> None:
        """The body is whole."""
        self._has_ended = True
        if self._waiter is not None:
            self._wake()

    def hang_up(self) -> None:
        """The client went away, or gave this request up. The application is told, and is not cancelled."""
        self._is_gone = True
        self._pieces.clear()
        self._buffered = 0
        if self._waiter is not None:
            self._wake()
        self._tell_listener()

    def cancel(self) -> None:
        """End the application's work on it."""
        if self.task is not None:
            self.task.cancel()
        else:
            self._tell_listener()

    # What the application calls.

    async def receive(self) -> Event:
        """ASGI's receive: the body, then `http.disconnect` when the client leaves or the answer is complete."""
        while True:
            if self._pieces:
                return self._take()
            if self._is_gone:
                return {"type": "http.disconnect"}
            if self._has_ended and not self._has_told_end:
                self._has_told_end = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await self._wait()

    @property
    def has_body(self) -> bool:
        """See `Shortcuts`."""
        return bool(self._pieces) or self._has_ended

    def listen(self, callback: Callable[[], None]) -> None:
        """See `Shortcuts`."""
        self._callback = callback
        if self._is_gone:
            callback()

    @property
    @abstractmethod
    def headers(self) -> Headers:
        """See `Shortcuts`."""

    @abstractmethod
    def reply(self, status: int, headers: Headers, body: bytes, trailers: Headers | None = None) -> bool:
        """See `Shortcuts`."""

    @abstractmethod
    async def send(self, event: Event) -> None:
        """ASGI's send. It returns when there is room for more, and raises `OSError` once the client has gone."""

    # What a version of HTTP does.

    @abstractmethod
    def on_wait(self) -> None:
        """The application waits for the body: the first wait of a request that expects `100 Continue` grants it."""

    @abstractmethod
    def on_taken(self, size: int) -> None:
        """The application took so many bytes of the body: there is room for as many."""

    @abstractmethod
    def conclude(self) -> None:
        """The application is done: complete the answer, or break it off where it is not complete."""

    def conclude_soon(self) -> None:
        """See `Shortcuts`."""
        self._loop.call_soon(self.conclude)

    def _add_crumb(self, piece: bytes) -> None:
        """Crumbs are kept as one: each by itself would take fifty times its size, and an event."""
        last = self._pieces[-1]
        if isinstance(last, bytearray) and len(last) < JOIN_BYTES:
            last += piece
        else:
            self._pieces.append(bytearray(piece))

    def _take(self) -> Event:
        pieces = self._pieces
        if len(pieces) > 1 and self._buffered <= JOIN_BYTES:
            body = b"".join(pieces)
            pieces.clear()
        else:
            body = bytes(pieces.pop(0))
        size = len(body)
        self._buffered -= size
        has_more = not self._has_ended or bool(pieces)
        self._has_told_end = not has_more
        self.on_taken(size)
        return {"type": "http.request", "body": body, "more_body": has_more}

    def _tell_listener(self) -> None:
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()

    def _end_answer(self) -> None:
        """The answer is complete."""
        self._is_gone = True  # as far as `receive` is concerned
        self._callback = None
        if self._waiter is not None:
            self._wake()

    async def _wait(self) -> None:
        self.on_wait()
        if not self._has_ended:
            self.waits_since = self._loop.time()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
            self.waits_since = None
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _answer(self, app: Any, scope: Scope) -> None:
        try:
            await app(scope, self.receive, self.send)
        except Exception as error:
            if self._is_gone and isinstance(error, OSError):
                log.debug("carrier.left path=%s", scope["path"])
            else:
                log.exception("carrier.crashed path=%s", scope["path"])
        finally:
            self.conclude()
