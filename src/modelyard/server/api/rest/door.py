"""The REST door: V2 methods as JSON over HTTP. It converts, calls dispatch, converts back."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import TypeAlias

from modelyard.errors import Cancelled, InternalError, ModelyardError
from modelyard.server.api.doorway.inflow import Inflow
from modelyard.server.api.doorway.lifeline import Lifeline, Lookout
from modelyard.server.api.doorway.shortcuts import recall
from modelyard.server.api.doorway.types import Receive, Scope, Send
from modelyard.server.api.rest import requests
from modelyard.server.api.rest.delta import DeltaPaths, is_below
from modelyard.server.api.rest.head import recall_head
from modelyard.server.api.rest.metrics import METRICS, MetricsPage
from modelyard.server.api.rest.plain import PlainPages, is_plain
from modelyard.server.api.rest.routes import Match, Routes, split_path
from modelyard.server.api.rest.straight import offer_rest
from modelyard.server.api.rest.visit import Visit
from modelyard.server.api.v2.call import Envelope, Incoming
from modelyard.server.api.v2.dispatch import V2
from modelyard.server.api.v2.health import Health
from modelyard.wire.messages import PostModelOutputsRequest
from modelyard.wire.methods import Method, load_methods

log = logging.getLogger(__name__)
ANSWER = "answer"
"""What the memo of a head has under it what answers its requests."""
TOLD_PATH_CHARS = 200
Answer: TypeAlias = Callable[[Visit], Awaitable[None]]


class RestDoor:
    """Answers plain HTTP.

    Args:
        v2: The methods.
        health: What `GET /readyz` tells.
        delta: Paths of the delta protocol; None where nothing is uploaded.
        metrics: The page of `GET /metrics`.
    """

    def __init__(
        self, v2: V2, *, health: Health, delta: DeltaPaths | None = None, metrics: MetricsPage | None = None
    ) -> None:
        self._v2 = v2
        self._lookout = Lookout()
        self._routes = Routes(load_methods().values(), v2.handled)
        self._pages = PlainPages(health)
        self._delta = delta
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = Visit(scope, receive, send)
        try:
            await recall(scope, ANSWER, self._choose)(visit)
        except (Cancelled, OSError):
            log.debug("request.cancelled method=%s request_id=%s", visit.name, visit.request_id)
        except ModelyardError as error:
            await visit.fail(error)
        except Exception:
            log.exception("request.crashed method=%s request_id=%s", visit.name, visit.request_id)
            hint = f"its log has it under request id {visit.request_id}"
            await visit.fail(InternalError("a fault of the server", hint=hint))

    def _choose(self, scope: Scope) -> Answer:
        """What answers requests with this head. Raises `InvalidRequest` where the path is no text."""
        path = scope["path"]
        if is_plain(path):
            return self._pages.answer
        if self._metrics is not None and path == METRICS:
            return self._metrics.answer
        if self._delta is not None and is_below(path):
            return self._delta.answer
        match = self._routes.find(recall_head(scope).verb, scope)
        return self._turn_away if match is None else partial(self._call, match)

    async def _call(self, match: Match, visit: Visit) -> None:
        """Call a V2 method."""
        visit.name = match.route.method.name
        self._v2.find(visit.name)
        if visit.head.is_compressed:
            await visit.refuse(415, "a compressed request body is not supported")
            return
        envelope = visit.make_envelope()
        with Lifeline(envelope.deadline, self._lookout, visit.shortcuts) as lifeline:
            if match.route.method.is_client_streaming:
                await self._stream_both(visit, match, envelope, lifeline)
            else:
                await self._take_one(visit, match, envelope, lifeline)

    async def _turn_away(self, visit: Visit) -> None:
        verbs = self._routes.verbs(split_path(visit.scope))
        path = visit.scope["path"][:TOLD_PATH_CHARS]
        if not verbs:
            await visit.refuse(404, f"there is nothing at {path}")
            return
        allow = ", ".join([*verbs, "HEAD"] if "GET" in verbs else verbs)
        text = f"{visit.head.verb} is not allowed at {path}; allowed: {allow}"
        await visit.refuse(405, text, [(b"allow", allow.encode("ascii"))])

    async def _take_one(self, visit: Visit, match: Match, envelope: Envelope, lifeline: Lifeline) -> None:
        """A method that takes one message."""
        method = match.route.method
        first = await visit.receive()
        if first.get("more_body"):
            refusal = await self._v2.admit(method.name, envelope)
            if refusal is not None:
                await visit.drain()
                await visit.reply(method, refusal)
                return
        body = await requests.read_body(first, visit.receive, _body_limit(method))
        incoming = requests.make_incoming(match, visit.scope["query_string"], body)
        lifeline.watch(visit.receive)
        if visit.shortcuts is not None:
            offer_rest(self._v2, match, visit.head, envelope, visit.shortcuts)
        if method.is_server_streaming:
            await visit.stream(method, self._v2.stream(method.name, _one(incoming), envelope))
        else:
            await visit.reply(method, await self._v2.unary(method.name, incoming, envelope))

    async def _stream_both(self, visit: Visit, match: Match, envelope: Envelope, lifeline: Lifeline) -> None:
        """A method that takes many messages: newline-delimited JSON, in and out at the same time."""
        method = match.route.method
        visit.is_conversation = True
        inflow = Inflow(visit.receive, lifeline)
        inflow.start()
        try:
            lines = requests.read_lines(match, inflow)
            await visit.stream(method, self._v2.stream(method.name, lines, envelope))
        finally:
            await inflow.close()


def _body_limit(method: Method) -> int:
    is_predict = method.request_type is PostModelOutputsRequest
    return requests.MAX_PREDICT_BODY_BYTES if is_predict else requests.MAX_BODY_BYTES


async def _one(incoming: Incoming) -> AsyncIterator[Incoming]:
    yield incoming
