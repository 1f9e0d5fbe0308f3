"""A connection of HTTP/2, as its streams know it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol


class Member(Protocol):
    """A stream, as its connection has to know it here."""

    number: int

    def pump(self) -> None:
        """There may be room for what waits."""
        ...


class StreamOwner(Protocol):
    """What streams ask of it."""

    loop: asyncio.AbstractEventLoop
    initial_window: int
    """What a new stream may send before the client grants it more."""
    out_window: int
    """What all streams together may send."""
    max_frame: int
    """The largest frame that the client takes."""
    is_paused: bool
    """Does the client not read what is written?"""
    waiting: dict[Member, None]
    """Those whose answers wait for room on the connection, in the order of their turns."""
    write: Callable[[bytes], None]

    def write_all(self, parts: list[bytes | memoryview]) -> None:
        """Write them without joining them."""
        ...

    def give_back(self, size: int) -> None:
        """So much of what the client sent is not kept any more."""
        ...

    def pump(self) -> None:
        """Let those who wait send, while there is room."""
        ...

    def forget(self, stream: Member) -> None:
        """All is done with it."""
        ...
