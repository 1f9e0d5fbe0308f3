"""What a carrier is, and how every one of them says that an address cannot be had."""

from __future__ import annotations

import errno
import os
from typing import Any, Protocol

from modelyard.errors import InvalidRequest


class Carrier(Protocol):
    """Serves one application on one address. Signals are the caller's."""

    async def start(self, app: Any) -> str:
        """Bind, start up, and return the address really bound: `http://127.0.0.1:8080`. Raises `InvalidRequest` where
        the address cannot be had."""
        ...

    async def stop(self, grace_s: float) -> None:
        """Accept nothing more, let requests in flight run for up to `grace_s` seconds, cancel the rest. Idempotent."""
        ...


def explain_refusal(error: OSError, host: str, port: int) -> InvalidRequest:
    """What to tell somebody whose address was refused by the system."""
    number = _find_errno(error)
    if number == errno.EADDRINUSE:
        return InvalidRequest(f"port {port} is in use", hint="take another with --port, or 0 for a free one")
    reason = os.strerror(number) if number else str(error)
    return InvalidRequest(f"cannot listen on {host} port {port}: {reason}")


def _find_errno(error: BaseException | None) -> int | None:
    """The number of an error of the system, which may lie under one that only has a text."""
    while error is not None:
        if isinstance(error, OSError) and error.errno:
            return error.errno
        error = error.__cause__ or error.__context__
    return None
