"""PostModelOutputs, GenerateModelOutputs, StreamModelOutputs."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from modelyard.errors import InvalidRequest
from modelyard.server.api.v2.call import Call, Handler, Incoming, Sender
from modelyard.server.api.v2.requests import require_same
from modelyard.server.backends.base import Taker
from modelyard.server.routing.passage import Passage
from modelyard.server.services.predict import Predict
from modelyard.server.services.targets import Address, make_address
from modelyard.wire.messages import PostModelOutputsRequest
from modelyard.wire.notes import encode_id, encode_note, take_batch


class OutputsV2:
    """The methods that ask a model."""

    def __init__(self, predict: Predict) -> None:
        self._predict = predict

    def handlers(self) -> dict[str, Handler]:
        """What this noun answers, by method."""
        return {
            "PostModelOutputs": self.post,
            "GenerateModelOutputs": self.generate,
            "StreamModelOutputs": self.stream,
        }

    def senders(self) -> dict[str, Sender]:
        """What of that can be sent without awaiting it, by method."""
        return {"PostModelOutputs": self.send}

    def send(self, call: Call, request: PostModelOutputsRequest, taker: Taker) -> Passage | None:
        """As `post`: see `Sender`."""
        address = _find_address(call, request)
        _count_as(call, address)
        return self._predict.send(
            address,
            request,
            call.raw,
            taker,
            headers=call.headers,
            caller=_name_caller(call),
            deadline=call.deadline,
            note=_make_note(call),
            is_plain=call.named is not None,
            trace=call.watch.trace if call.watch else None,
        )

    async def post(self, call: Call, request: PostModelOutputsRequest) -> bytes:
        """One answer."""
        address = _find_address(call, request)
        _count_as(call, address)
        reply = await self._predict.predict(
            address,
            request,
            call.raw,
            headers=call.headers,
            caller=_name_caller(call),
            deadline=call.deadline,
            note=_make_note(call),
            is_plain=call.named is not None,
        )
        trace = call.watch and call.watch.trace
        if trace:
            reply, trace.batch_inputs = take_batch(reply)
        return reply

    async def generate(self, call: Call, request: PostModelOutputsRequest) -> AsyncGenerator[bytes, None]:
        """Answers as they come."""
        address = _find_address(call, request)
        answers = self._predict.generate(
            address,
            request,
            call.raw,
            headers=call.headers,
            caller=_name_caller(call),
            deadline=call.deadline,
            note=_make_note(call),
        )
        _count_as(call, address)
        async with aclosing(answers):
            async for answer in answers:
                yield answer

    async def stream(self, call: Call, requests: AsyncIterator[Incoming]) -> AsyncGenerator[bytes, None]:
        """Answers as they come to requests as they come; the first names the model."""
        first = await anext(requests)
        address = _read_address(call, first.message)
        checked = _check_all(address, call, first, requests)
        answers = self._predict.stream(
            address,
            checked,
            headers=call.headers,
            caller=_name_caller(call),
            deadline=call.deadline,
            note=_make_note(call),
        )
        _count_as(call, address)
        async with aclosing(answers):
            async for answer in answers:
                yield answer


def _count_as(call: Call, address: Address) -> None:
    """Have a request counted as one of this model, unless it ends with that there is none: see `Stopwatch.model`."""
    if call.watch is not None:
        call.watch.model = address.user_id, address.app_id, address.model_id


def _make_note(call: Call) -> bytes:
    """What the worker is told beside the request: its id, and the trace that it is in, ours or the caller's."""
    trace = call.watch and call.watch.trace
    if trace:
        return encode_note(call.request_id, trace.traceparent, trace.tracestate, asks_batch=True)
    caller = call.trace
    if caller is not None:
        return encode_note(call.request_id, caller.traceparent, caller.tracestate)
    return encode_id(call.request_id)


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


def _find_address(call: Call, request: PostModelOutputsRequest) -> Address:
    """Which model the only message of a request names."""
    named = call.named
    if named is None:
        return _read_address(call, request)
    return make_address((call.user_id, call.app_id, named.model_id, named.version_id or call.version, ""))


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
    )
