"""The few pages that are no V2 methods and need no token: health, readiness, and what logins probe."""

from __future__ import annotations

from collections.abc import Callable

from modelyard.server.api.rest.render import render
from modelyard.server.api.rest.visit import Visit
from modelyard.wire.messages import BaseResponse
from modelyard.wire.status import success

HEALTH = "/healthz"
READINESS = "/readyz"
AUTH_METHODS = "/v2/auth/methods"
PATHS = frozenset({HEALTH, READINESS, AUTH_METHODS})


class PlainPages:
    """Answers `GET` and `HEAD` of `PATHS`."""

    def __init__(self, is_ready: Callable[[], bool]) -> None:
        self._is_ready = is_ready

    async def answer(self, visit: Visit) -> None:
        """Answer it."""
        if visit.verb != "GET":
            await visit.refuse(405, "only GET and HEAD are allowed here", [(b"allow", b"GET, HEAD")])
            return
        status, body = self._make(visit.scope["path"], visit.request_id)
        await visit.page(status, body)

    def _make(self, path: str, request_id: str) -> tuple[int, bytes]:
        if path == HEALTH:
            return 200, b'{"is_alive":true}'
        if path == READINESS:
            return (200, b'{"is_ready":true}') if self._is_ready() else (503, b'{"is_ready":false}')
        return 200, render(BaseResponse(status=success(request_id=request_id)))
