"""Asking again where a connection breaks: for calls that do the same when they are made twice."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from modelyard.client.transport import Transport
from modelyard.errors import Unavailable

PATIENCE_S = 60.0
"""How long a server may be away before what was begun is given up."""
PAUSES_S = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Before each next try; the last one again and again."""

_T = TypeVar("_T")


def insist(transport: Transport, call: Callable[[], _T]) -> _T:
    """The answer of a call, made again while its connection breaks and while its server is started again.

    Raises:
        Unavailable: there was no server in the first place, or it was away for `PATIENCE_S`.
    """
    began, failures = time.monotonic(), 0
    while True:
        try:
            return call()
        except Unavailable:
            if not transport.was_reached or time.monotonic() - began > PATIENCE_S:
                raise
        time.sleep(PAUSES_S[min(failures, len(PAUSES_S) - 1)])
        failures += 1
