"""Which pages of other origins may call: those that are named, and by default none."""

from __future__ import annotations

from modelyard.server.api.doorway.shortcuts import without_shortcuts
from modelyard.server.api.doorway.types import Application, Event, Receive, Scope, Send

ALLOWED_HEADERS = b", ".join([
    b"authorization", b"content-type", b"grpc-timeout", b"x-grpc-web", b"x-user-agent", b"x-clarifai-request-id-prefix",
])  # fmt: skip
EXPOSED_HEADERS = b"grpc-status, grpc-message, x-request-id, retry-after"
ALLOWED_METHODS = b"GET, POST, PATCH, PUT, DELETE"
MAX_AGE_S = b"600"


class Cors:
    """Adds to the answers of an application what browsers ask for, for the origins that are named.

    No credentials of the browser are let in: a token is sent in a header, by a page that has one.

    Args:
        app: The application.
        origins: As browsers write them: `https://console.example:8443`.
    """

    def __init__(self, app: Application, origins: tuple[str, ...]) -> None:
        self._app = app
        self._origins = frozenset(one.encode("latin-1") for one in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"]) if scope["type"] == "http" else {}
        origin = headers.get(b"origin", b"")
        if origin not in self._origins:
            await self._app(scope, receive, send)
            return
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            await _allow(origin, send)
            return

        async def send_exposed(event: Event) -> None:
            if event["type"] == "http.response.start":
                exposed = (b"access-control-expose-headers", EXPOSED_HEADERS)
                event = {**event, "headers": [*event["headers"], *_mark(origin), exposed]}
            await send(event)

        await self._app(without_shortcuts(scope), receive, send_exposed)


async def _allow(origin: bytes, send: Send) -> None:
    headers = [
        *_mark(origin),
        (b"access-control-allow-methods", ALLOWED_METHODS),
        (b"access-control-allow-headers", ALLOWED_HEADERS),
        (b"access-control-max-age", MAX_AGE_S),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _mark(origin: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"access-control-allow-origin", origin), (b"vary", b"origin")]
