"""The few pages that are no V2 methods and need no token: health, readiness, and what logins probe."""

from __future__ import annotations

import json

from modelyard.server.api.rest.render import render
from modelyard.server.api.rest.visit import Visit
from modelyard.server.api.v2.health import Health
from modelyard.wire.messages import BaseResponse
from modelyard.wire.status import success

HEALTH = "/healthz"
READINESS = "/readyz"
AUTH_METHODS = "/v2/auth/methods"
PATHS = frozenset({HEALTH, READINESS, AUTH_METHODS})
MODEL_READINESS = READINESS + "/"
"""Before `users/USER/apps/APP/models/MODEL`; this one needs a token that may see the model."""


def is_plain(path: str) -> bool:
    """Is this one of the pages?"""
    return path in PATHS or path.startswith(MODEL_READINESS)


class PlainPages:
    """Answers `GET` and `HEAD` of `PATHS`, and of each model's readiness."""

    def __init__(self, health: Health) -> None:
        self._health = health

    async def answer(self, visit: Visit) -> None:
        """Answer it."""
        if visit.head.verb != "GET":
            await visit.refuse(405, "only GET and HEAD are allowed here", [(b"allow", b"GET, HEAD")])
            return
        path = visit.scope["path"]
        if path == HEALTH:
            await visit.page(200, b'{"is_alive":true}')
        elif path == READINESS:
            found = await self._health.check()
            content = {"is_ready": found.is_ready, "models": found.models, "models_ready": found.models_ready}
            await visit.page(200 if found.is_ready else 503, json.dumps(content).encode())
        elif path.startswith(MODEL_READINESS):
            is_ready = await self._health.check_model(
                path.removeprefix(MODEL_READINESS), visit.head.caller.authorization
            )
            await visit.page(200 if is_ready else 503, json.dumps({"is_ready": is_ready}).encode())
        else:
            await visit.page(200, render(BaseResponse(status=success(request_id=visit.request_id))))
