"""PostModelOutputs, GenerateModelOutputs, StreamModelOutputs."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from types import TracebackType

from modelyard.errors import InvalidRequest, ModelyardError, NotFound
from modelyard.server.api.v2.call import Call, Handler, Incoming
from modelyard.server.api.v2.requests import require_same
from modelyard.server.services.predict import Predict
from modelyard.server.services.targets import Address
from modelyard.server.telemetry.telemetry import GONE, Stopwatch, Telemetry, peek_code
from modelyard.wire.messages import PostModelOutputsRequest
from modelyard.wire.notes import encode_note
from modelyard.wire.status import SUCCESS, codes_of

TRACE_HEADER = b"traceparent"
TRACE_GRAMMAR = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class OutputsV2:
    """The methods that ask a model."""

    def __init__(self, predict: Predict, telemetry: Telemetry | None = None) -> None:
        self._predict = predict
        self._telemetry = telemetry or Telemetry()

    def handlers(self) -> dict[str, Handler]:
        """What this noun answers, by method."""
        return {
            "PostModelOutputs": self.post,
            "GenerateModelOutputs": self.generate,
            "StreamModelOutputs": self.stream,
        }

    async def post(self, call: Call, request: PostModelOutputsRequest) -> bytes:
        """One answer."""
        address = _read_address(call, request)
        with self._measure(call, address) as outcome:
            reply = await self._predict.predict(
                address,
                request,
                call.raw,
                caller=_name_caller(call),
                deadline=call.deadline,
                note=_make_note(call),
            )
            outcome.code = peek_code(reply)
            return reply

    async def generate(self, call: Call, request: PostModelOutputsRequest) -> AsyncGenerator[bytes, None]:
        """Answers as they come."""
        address = _read_address(call, request)
        answers = self._predict.generate(
            address,
            request,
            call.raw,
            caller=_name_caller(call),
            deadline=call.deadline,
            note=_make_note(call),
        )
        with self._measure(call, address) as outcome:
            async with aclosing(answers):
                async for answer in answers:
                    yield answer
            outcome.code = SUCCESS

    async def stream(self, call: Call, requests: AsyncIterator[Incoming]) -> AsyncGenerator[bytes, None]:
        """Answers as they come to requests as they come; the first names the model."""
        first = await anext(requests)
        address = _read_address(call, first.message)
        checked = _check_all(address, call, first, requests)
        answers = self._predict.stream(
            address,
            checked,
            caller=_name_caller(call),
            deadline=call.deadline,
            note=_make_note(call),
        )
        with self._measure(call, address) as outcome:
            async with aclosing(answers):
                async for answer in answers:
                    yield answer
            outcome.code = SUCCESS

    def _measure(self, call: Call, address: Address) -> _Outcome:
        return _Outcome(self._telemetry, call.method.name, address)


class _Outcome:
    """A `with` block that counts a request of a model when it ends. Names that no model has are not counted: they are
    whatever callers write."""

    __slots__ = ("_address", "_watch", "code")

    def __init__(self, telemetry: Telemetry, method: str, address: Address) -> None:
        self._watch = Stopwatch(telemetry, method)
        self._address = address
        self.code = 0

    def __enter__(self) -> _Outcome:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, NotFound | InvalidRequest):
            return
        if isinstance(error, ModelyardError):
            code = str(codes_of(error).v2)
        else:
            code = str(self.code) if error is None else GONE
        address = self._address
        self._watch.stop_at_model(f"{address.user_id}/{address.app_id}/{address.model_id}", code)


def _make_note(call: Call) -> bytes:
    """What the worker is told beside the request: its id, and the trace that the caller is in."""
    for name, value in call.headers:
        if name == TRACE_HEADER and TRACE_GRAMMAR.fullmatch(value):
            return encode_note(call.request_id, value.decode("ascii"))
    return encode_note(call.request_id)


def _name_caller(call: Call) -> str:
    """Who shares the replicas with others: the token, not its user."""
    return call.caller.token_id if call.caller else ""


async def _check_all(
    address: Address, call: Call, first: Incoming, rest: AsyncIterator[Incoming]
) -> AsyncIterator[Incoming]:
    """The stream's messages; each repeats the model, or leaves it out."""
    yield first
    async for one in rest:
        named = _read_address(call, one.message)
        if named.model_id and (named.model_id, named.version_id) != (address.model_id, address.version_id):
            raise InvalidRequest(
                f"a later message of the stream names model {named.model_id!r}, the first {address.model_id!r}",
                hint="open another stream for it",
            )
        yield one


def _read_address(call: Call, request: PostModelOutputsRequest) -> Address:
    """Which model one message names. What is in its `model` may not contradict its `user_app_id`."""
    model = request.model
    require_same("user_id", call.user_id, "" if model.user_id == "me" else model.user_id)
    require_same("app_id", call.app_id, model.app_id)
    return Address(
        user_id=call.user_id,
        app_id=call.app_id or model.app_id,
        model_id=request.model_id or model.id,
        version_id=request.version_id or model.model_version.id or call.version,
        deployment_id=request.runner_selector.deployment.id if request.HasField("runner_selector") else "",
        headers=call.headers,
    )
