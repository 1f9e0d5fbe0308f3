"""gRPC's own health protocol, `grpc.health.v1.Health`: what `grpc_health_probe`, Kubernetes and gRPC clients ask."""

from __future__ import annotations

import asyncio

from modelyard.errors import Cancelled, DeadlineExceeded, ModelyardError
from modelyard.server.api.doorway.deadlines import read_deadline
from modelyard.server.api.doorway.lifeline import Lifeline, Lookout
from modelyard.server.api.doorway.request_ids import make_request_id
from modelyard.server.api.doorway.types import Receive, Scope, Send
from modelyard.server.api.grpc.answer import Answer
from modelyard.server.api.grpc.metadata import recall_head
from modelyard.server.api.grpc.requests import read_only_message
from modelyard.server.api.v2.health import Health, check_service
from modelyard.server.carriers.base import SHORTCUTS
from modelyard.wire.health import (
    CHECK,
    NOT_SERVING,
    SERVICE,
    SERVICE_UNKNOWN,
    SERVING,
    WATCH,
    decode_service,
    encode_status,
)
from modelyard.wire.pieces import join
from modelyard.wire.status import (
    GRPC_DEADLINE_EXCEEDED,
    GRPC_INVALID_ARGUMENT,
    GRPC_NOT_FOUND,
    GRPC_UNIMPLEMENTED,
)

PATHS = f"/{SERVICE}/"
MAX_REQUEST_BYTES = 4096
LOOK_S = 0.5
"""How often a watcher's status is looked at."""


class GrpcHealthDoor:
    """Answers `Check` and `Watch`."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._lookout = Lookout()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = recall_head(scope)
        answer = Answer(send, make_request_id(None))
        try:
            deadline = read_deadline(head.deadline_of, scope["headers"])
            with Lifeline(deadline, self._lookout, scope.get(SHORTCUTS)) as lifeline:
                payload = await read_only_message(await receive(), receive, head.encoding, MAX_REQUEST_BYTES)
                lifeline.watch(receive)
                await self._answer(scope["path"], join(payload), head.caller.authorization, answer)
        except (Cancelled, OSError):
            pass
        except ModelyardError as error:
            is_late = isinstance(error, DeadlineExceeded)
            await answer.finish(GRPC_DEADLINE_EXCEEDED if is_late else GRPC_INVALID_ARGUMENT, error.message)

    async def _answer(self, path: str, payload: bytes, authorization: str | None, answer: Answer) -> None:
        service = decode_service(payload)
        if service is None:
            await answer.finish(GRPC_INVALID_ARGUMENT, "the message is not a grpc.health.v1.HealthCheckRequest")
        elif path == CHECK:
            await self._check(service, authorization, answer)
        elif path == WATCH:
            await self._watch(service, authorization, answer)
        else:
            await answer.finish(GRPC_UNIMPLEMENTED, f"{path} is not a method of {SERVICE}: it has Check and Watch")

    async def _check(self, service: str, authorization: str | None, answer: Answer) -> None:
        is_ready = await check_service(self._health, service, authorization)
        if is_ready is None:
            text = f"there is no service {service[:200]!r}; a model needs a token that may see it"
            await answer.finish(GRPC_NOT_FOUND, text)
        else:
            await answer.only(encode_status(SERVING if is_ready else NOT_SERVING))

    async def _watch(self, service: str, authorization: str | None, answer: Answer) -> None:
        """The status now, and again whenever it has changed; until the caller leaves."""
        told = None
        while True:
            is_ready = await check_service(self._health, service, authorization)
            status = SERVICE_UNKNOWN if is_ready is None else SERVING if is_ready else NOT_SERVING
            if status != told:
                await answer.message(encode_status(status))
                told = status
            await asyncio.sleep(LOOK_S)
