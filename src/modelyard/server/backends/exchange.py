"""One streaming request on a link, seen from the gateway: answers out by iterating, messages in by `send`.

Both directions run on credit (`wire/frames.py`): a worker that sends beyond it breaks the link, a caller that reads
slowly holds the author's generator, and an author that reads slowly holds the caller.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Protocol

from modelyard.errors import Cancelled, InternalError, ModelyardError
from modelyard.wire.frames import EMPTY, LAST, WINDOW, check_size, cost_of
from modelyard.wire.pieces import Payload


class Port(Protocol):
    """What an exchange needs of its link."""

    def post_message(self, request_id: int, payload: Payload, flags: int) -> None:
        """One more message of a request."""
        ...

    def grant(self, request_id: int, credit: int) -> None:
        """Allow the worker more items."""
        ...

    def forget(self, request_id: int) -> None:
        """Cancel in the worker, and drop what still comes."""
        ...

    async def wait_writable(self) -> None:
        """Wait while the socket is full."""
        ...


class LinkExchange:
    """An `Exchange`. The link calls the `on_` methods."""

    def __init__(self, port: Port, request_id: int, *, is_input_over: bool) -> None:
        self._port = port
        self._loop = asyncio.get_running_loop()
        self._request_id = request_id
        self._items: deque[bytes] = deque()
        self._item_credit = WINDOW
        self._consumed = 0
        self._message_credit = WINDOW
        self._is_input_over = is_input_over
        self._is_over = False
        self._error: ModelyardError | None = None
        self._reader: asyncio.Future[None] | None = None
        self._sender: asyncio.Future[None] | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self._items:
            if self._error is not None:
                raise self._error
            if self._is_over:
                raise StopAsyncIteration
            self._reader = self._loop.create_future()
            await self._reader
        payload = self._items.popleft()
        self._consumed += cost_of(len(payload))
        if self._consumed >= WINDOW // 2 and not self._is_over:
            self._item_credit += self._consumed
            self._port.grant(self._request_id, self._consumed)
            self._consumed = 0
        return payload

    async def send(self, payload: Payload) -> None:
        """See `Exchange.send`. One sender at a time. Raises `TooLarge` for what no frame may carry."""
        check_size(len(payload))
        while self._message_credit <= 0 and not self._is_over:
            self._sender = self._loop.create_future()
            await self._sender
        await self._port.wait_writable()
        if self._is_over or self._is_input_over:
            return
        self._message_credit -= cost_of(len(payload))
        self._port.post_message(self._request_id, payload, 0)

    def end(self) -> None:
        """See `Exchange.end`."""
        if not self._is_over and not self._is_input_over:
            self._is_input_over = True
            self._port.post_message(self._request_id, b"", LAST | EMPTY)

    def cancel(self, error: ModelyardError | None = None) -> None:
        """See `Exchange.cancel`."""
        if not self._is_over:
            self._port.forget(self._request_id)
        elif not self._items:
            return
        self._items.clear()
        self.on_end(error or Cancelled("the request was cancelled"))

    def on_item(self, payload: bytes) -> None:
        """An answer came. Raises `InternalError` where the worker had no credit for it."""
        if self._item_credit <= 0:
            raise InternalError("a worker sent more than it was allowed to")
        self._item_credit -= cost_of(len(payload))
        self._items.append(payload)
        _wake(self._reader)

    def on_credit(self, credit: int) -> None:
        """The worker takes more messages."""
        self._message_credit += credit
        _wake(self._sender)

    def on_end(self, error: ModelyardError | None = None) -> None:
        """No more answers: all is well, or not. What came before is still given out."""
        self._is_over = True
        self._error = error
        _wake(self._reader)
        _wake(self._sender)


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
