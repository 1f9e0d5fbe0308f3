"""When the caller of a request gives up, told by a header that differs between requests whose heads are alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from modelyard.server.api.doorway.types import Headers

DeadlineOf: TypeAlias = Callable[[Headers, float], float]
"""When a request with these headers, which came then, is given up; both `time.monotonic()`. Raises `InvalidRequest`."""


def find_deadline(headers: Headers, name: bytes, parse: Callable[[bytes], float]) -> DeadlineOf | None:
    """What tells it of each request whose head is like this one; None: it is waited for.

    Args:
        headers: Of one of them.
        name: Of the header that says how long the caller waits; the last of several counts.
        parse: Reads that, in seconds. Raises `InvalidRequest`.
    """
    place = max((at for at, (one, _) in enumerate(headers) if one == name), default=None)
    return None if place is None else partial(_read_deadline, place, parse)


def read_deadline(deadline_of: DeadlineOf | None, headers: Headers) -> float | None:
    """Of a request that comes now. Raises `InvalidRequest`."""
    return None if deadline_of is None else deadline_of(headers, time.monotonic())


def _read_deadline(place: int, parse: Callable[[bytes], float], headers: Headers, came_at: float) -> float:
    return came_at + parse(headers[place][1])
