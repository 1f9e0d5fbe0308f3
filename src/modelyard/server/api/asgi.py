"""Joins the doors into one ASGI application: by content type and path."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial

from modelyard.server.api.cors import Cors
from modelyard.server.api.doorway.shortcuts import recall
from modelyard.server.api.doorway.types import Application, Headers, Receive, Scope, Send
from modelyard.server.api.grpc.door import GrpcDoor
from modelyard.server.api.grpc.health import PATHS as HEALTH_PATHS
from modelyard.server.api.grpc.health import GrpcHealthDoor
from modelyard.server.api.grpc.web import WEB_TYPE, WEB_TYPES, GrpcWebDoor
from modelyard.server.api.rest.answers import send_error
from modelyard.server.api.rest.delta import DeltaPaths
from modelyard.server.api.rest.door import RestDoor
from modelyard.server.api.rest.metrics import MetricsPage
from modelyard.server.api.v2.dispatch import V2
from modelyard.server.api.v2.health import Health, Openness

log = logging.getLogger(__name__)

GRPC_TYPE = b"application/grpc"
GRPC_TYPES = frozenset({GRPC_TYPE, GRPC_TYPE + b"+proto"})
DOOR = "door"
"""What the memo of a head has the door of its requests under."""
TRAILERS = "http.response.trailers"
Hook = Callable[[], Awaitable[None]]


async def _nothing() -> None:
    """The hook of those who have nothing to do."""


def make_app(
    v2: V2,
    *,
    is_ready: Callable[[], bool] = lambda: True,
    health: Health | None = None,
    delta: DeltaPaths | None = None,
    metrics: MetricsPage | None = None,
    on_start: Hook = _nothing,
    on_stop: Hook = _nothing,
    cors_origins: tuple[str, ...] = (),
) -> Application:
    """The application that a carrier serves.

    Args:
        v2: The methods behind their checks.
        is_ready: Does the server take requests? What probes are told where there is no `health`.
        health: What probes are told.
        delta: Paths of the delta protocol, where uploads are taken.
        metrics: The page of `GET /metrics`.
        on_start: Awaited at ASGI's lifespan start-up.
        on_stop: Awaited at its shutdown.
        cors_origins: Origins whose pages may call, as browsers write them.
    """
    health = health or Openness(is_ready)
    grpc, grpc_health = GrpcDoor(v2), GrpcHealthDoor(health)
    web, web_health = GrpcWebDoor(grpc), GrpcWebDoor(grpc_health)
    rest = RestDoor(v2, health=health, delta=delta, metrics=metrics)

    def choose(scope: Scope) -> Application:
        """The door of a request, by its head."""
        kind = _content_type(scope["headers"])
        if not kind.startswith(GRPC_TYPE):
            return rest
        if why := _why_not(scope, kind):
            return partial(_refuse, why)
        is_health = scope["path"].startswith(HEALTH_PATHS)
        if kind in WEB_TYPES:
            return partial(web_health if is_health else web, kind=kind)
        return grpc_health if is_health else grpc

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "http":
                await recall(scope, DOOR, choose)(scope, receive, send)
            case "lifespan":
                await _run_lifespan(receive, send, on_start, on_stop)
            case "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 1008, "reason": "there is no WebSocket here"})
            case other:
                raise NotImplementedError(f"ASGI scope {other!r}")

    return Cors(application, cors_origins) if cors_origins else application


def _content_type(headers: Headers) -> bytes:
    for name, value in headers:
        if name == b"content-type":
            return value if value == GRPC_TYPE else value.partition(b";")[0].strip().lower()
    return b""


def _why_not(scope: Scope, kind: bytes) -> tuple[int, str, Headers] | None:
    """What gRPC forbids before its own statuses begin, as an HTTP status, its text and headers."""
    if scope["method"] != "POST":
        return 405, "a gRPC request is a POST", [(b"allow", b"POST")]
    if kind not in (WEB_TYPES if kind.startswith(WEB_TYPE) else GRPC_TYPES):
        spoken = "spoken are application/grpc, grpc-web and grpc-web-text, with +proto or nothing"
        return 415, f"content type {kind.decode('latin-1')!r}: {spoken}", []
    if kind not in WEB_TYPES and not _has_trailers(scope):
        return 505, "gRPC needs HTTP/2 and the request header 'te: trailers'", []
    return None


def _has_trailers(scope: Scope) -> bool:
    """Some servers offer trailers over HTTP/1.1, too; gRPC's clients do not look for them there."""
    return TRAILERS in scope.get("extensions", {}) and not scope.get("http_version", "2").startswith("1")


async def _refuse(why: tuple[int, str, Headers], scope: Scope, receive: Receive, send: Send) -> None:
    del scope, receive
    status, text, headers = why
    await send_error(send, status, text, headers=headers)


async def _run_lifespan(receive: Receive, send: Send, on_start: Hook, on_stop: Hook) -> None:
    while True:
        event = await receive()
        step, hook = ("startup", on_start) if event["type"] == "lifespan.startup" else ("shutdown", on_stop)
        try:
            await hook()
        except Exception as error:
            log.exception("lifespan.failed step=%s", step)
            await send({"type": f"lifespan.{step}.failed", "message": str(error)})
            return
        await send({"type": f"lifespan.{step}.complete"})
        if step == "shutdown":
            return
