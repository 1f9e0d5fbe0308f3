"""What takes a client of HTTP/2 too long, seen once a second."""

from __future__ import annotations

from modelyard.server.carriers.base import HEADERS_S, KEEP_ALIVE_S, STALL_S

ANSWERS_S = 2.0
"""A client that is told to go has so long to show that it heard it."""


class Patience:
    """Times of a connection, by the clock of its loop.

    Args:
        now: When it began.
    """

    __slots__ = ("_idle_since", "_inside_since", "_progress", "_unsent", "closed_at", "drained_at", "paused_at")

    def __init__(self, now: float) -> None:
        self._progress = -1
        self._inside_since = self._idle_since = now
        self._unsent = 0
        self.paused_at: float | None = None
        """Since when the client does not read what is written."""
        self.drained_at: float | None = None
        """When it was told to go."""
        self.closed_at: float | None = None
        """When we hung up, or it last took something of what had not gone out by then."""

    def look(self, now: float, *, progress: int, is_inside: bool, is_idle: bool) -> None:
        """Once a second: how many frames were read, is one incomplete, does no request run?"""
        has_moved, self._progress = progress != self._progress, progress
        if has_moved or not is_inside:
            self._inside_since = now
        if has_moved or not is_idle:
            self._idle_since = now

    def is_dripping(self, now: float) -> bool:
        """Did a frame, or a block of headers, begin long ago and not end?"""
        return now - self._inside_since > HEADERS_S

    def is_over(self, now: float) -> bool:
        """Did it hear that it should go, or did nobody ask for anything for long?"""
        has_heard = self.drained_at is not None and now - self.drained_at > ANSWERS_S
        return has_heard or now - self._idle_since > KEEP_ALIVE_S

    def is_gone(self, now: float, unsent: int) -> bool:
        """Does it take nothing of the bytes that wait for it, or not even hang up?"""
        if self.closed_at is None:
            return self.paused_at is not None and now - self.paused_at > STALL_S
        if unsent != self._unsent:
            self._unsent, self.closed_at = unsent, now
        return now - self.closed_at > (STALL_S if unsent else ANSWERS_S)
