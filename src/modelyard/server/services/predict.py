"""Predictions: find the version, fetch what inputs point to, wait for a replica, pass the bytes on."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from datetime import datetime
from typing import Protocol

from modelyard.errors import (
    InternalError,
    InvalidRequest,
    ModelBusy,
    ModelDeploying,
    ModelyardError,
    StreamsBusy,
    VersionNotFound,
)
from modelyard.server.backends.base import Exchange, Taker
from modelyard.server.records import Deployment
from modelyard.server.routing.passage import Passage
from modelyard.server.routing.router import Router
from modelyard.server.services.input_urls import Fetcher, fetch_inputs, may_have_urls
from modelyard.server.services.split import Headers
from modelyard.server.services.targets import Address, Target, Targets
from modelyard.server.store.base import Store
from modelyard.server.store.changes import Waiter
from modelyard.server.telemetry.tracing import Trace
from modelyard.wire.frames import LARGE_BYTES
from modelyard.wire.messages import PostModelOutputsRequest
from modelyard.wire.outline import complete
from modelyard.wire.pieces import Payload, Pieces

MAX_INPUTS = 128
LOOK_AGAIN_S = 1.0
GIVE_UP_S = 60.0
"""A request is held while a model loads; but no longer than this while its starts fail."""

log = logging.getLogger(__name__)


class RequestMessage(Protocol):
    """One request of a stream, parsed, and as it came where the door has that."""

    @property
    def message(self) -> PostModelOutputsRequest: ...

    @property
    def raw(self) -> Payload | None: ...


class Predict:
    """Predict, generate and stream."""

    def __init__(
        self,
        store: Store,
        targets: Targets,
        router: Router,
        fetcher: Fetcher,
        *,
        hold_s: float,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._targets = targets
        self._router = router
        self._fetcher = fetcher
        self._hold_s = hold_s
        self._now = now

    async def predict(
        self,
        address: Address,
        request: PostModelOutputsRequest,
        raw: Payload | None,
        *,
        headers: Headers = (),
        caller: str = "",
        deadline: float | None,
        note: bytes = b"",
        is_plain: bool = False,
    ) -> bytes:
        """One request, one serialised `MultiOutputResponse`.

        Args:
            address: Whom it asks.
            request: It.
            raw: The same, serialised, where the door got it so. In pieces: `request` may lack its large values.
            headers: Those that it came with.
            caller: The id of its token: see `Router.call`.
            deadline: `time.monotonic()` at which its caller gives up; None: it waits.
            note: What the worker is told beside it: `wire/notes.py`.
            is_plain: It has one input, which is a text, and says nothing of the model but its name. `raw` is there.

        Raises what `Targets.resolve` and `Router.call` raise, and InvalidRequest or InvalidInput for its inputs.
        """
        if is_plain and isinstance(raw, bytes) and (target := self._recall(address, headers)) is not None:
            plain = note + target.prefix + raw
            return await self._router.call(target.version_id, plain, caller=caller, deadline=deadline)
        version_id, payload = await self._prepare(address, request, raw, headers, caller, deadline, note)
        return await self._router.call(version_id, payload, caller=caller, deadline=deadline)

    def send(
        self,
        address: Address,
        request: PostModelOutputsRequest,
        raw: Payload | None,
        taker: Taker,
        *,
        headers: Headers = (),
        caller: str = "",
        deadline: float | None,
        note: bytes = b"",
        is_plain: bool = False,
        trace: Trace | None = None,
    ) -> Passage | None:
        """As `predict`, for a request that need not wait for anything: `taker` hears how it ends, later. None: nothing
        was sent. Of a plain one `request` is not looked at. Raises InvalidRequest for its inputs."""
        target = self._recall(address, headers)
        if target is None:
            return None
        payload: Payload
        if is_plain and isinstance(raw, bytes):
            payload = note + target.prefix + raw
        else:
            _check_inputs(request)
            if may_have_urls(request):
                return None
            payload = _compose(target, request, raw, note)
        return self._router.send(target.version_id, payload, taker, caller=caller, deadline=deadline, trace=trace)

    async def generate(
        self,
        address: Address,
        request: PostModelOutputsRequest,
        raw: Payload | None,
        *,
        headers: Headers = (),
        caller: str = "",
        deadline: float | None,
        note: bytes = b"",
    ) -> AsyncGenerator[bytes, None]:
        """One request, answers as the author yields them. Raises as `predict` does; what was yielded has been sent."""
        version_id, payload = await self._prepare(address, request, raw, headers, caller, deadline, note)
        async with self._router.open(version_id, "generate", payload, caller=caller, deadline=deadline) as exchange:
            async for answer in exchange:
                yield answer

    async def stream(
        self,
        address: Address,
        requests: AsyncIterator[RequestMessage],
        *,
        headers: Headers = (),
        caller: str = "",
        deadline: float | None,
        note: bytes = b"",
    ) -> AsyncGenerator[bytes, None]:
        """Requests in, answers out, at the same time.

        Published clients cannot send a stream again, so it waits for the build and for a replica as long as its
        deadline allows.
        """
        target = await self._resolve_built(address, headers, deadline)
        try:
            await self._hold(target, caller, deadline, is_patient=True)
        except ModelBusy as error:
            raise StreamsBusy(error.message, hint=error.hint, retry_after_s=error.retry_after_s) from None
        async with self._router.open(target.version_id, "stream", None, caller=caller, deadline=deadline) as exchange:
            feeder = asyncio.create_task(self._feed(exchange, target, address, requests, note))
            try:
                async for answer in exchange:
                    yield answer
            finally:
                feeder.cancel()
                await asyncio.gather(feeder, return_exceptions=True)

    async def _prepare(
        self,
        address: Address,
        request: PostModelOutputsRequest,
        raw: Payload | None,
        headers: Headers,
        caller: str,
        deadline: float | None,
        note: bytes,
    ) -> tuple[str, Payload]:
        """The version that answers, ready to, and what it is sent."""
        _check_inputs(request)
        target = self._recall(address, headers) or await self._reach(address, headers, caller, deadline)
        if may_have_urls(request):
            request, raw = await self._fetch(request, raw, address)
            await self._hold(target, caller, deadline)
        return target.version_id, _compose(target, request, raw, note)

    async def _resolve_built(self, address: Address, headers: Headers, deadline: float | None) -> Target:
        """As `Targets.resolve`, but waits while the version is being built."""
        waiter = self._store.watch()
        while True:
            try:
                return await self._targets.resolve(address, headers)
            except ModelDeploying:
                if deadline is not None and time.monotonic() >= deadline:
                    raise
            left_s = LOOK_AGAIN_S if deadline is None else deadline - time.monotonic()
            await waiter.wait(timeout_s=max(0.0, min(LOOK_AGAIN_S, left_s)))

    async def _feed(
        self,
        exchange: Exchange,
        target: Target,
        address: Address,
        requests: AsyncIterator[RequestMessage],
        note: bytes,
    ) -> None:
        """Send the caller's messages on, the note in front of the first; a wrong one ends the exchange with what is
        wrong."""
        try:
            async for one in requests:
                _check_inputs(one.message)
                request, raw = one.message, one.raw
                if may_have_urls(request):
                    request, raw = await self._fetch(request, raw, address)
                await exchange.send(_compose(target, request, raw, note))
                note = b""
            exchange.end()
        except ModelyardError as error:
            exchange.cancel(error)
        except Exception:  # the boundary of a task: logged, and told to the caller
            log.exception("stream.crashed version=%s", target.version_id)
            exchange.cancel(InternalError("a fault of the server while it read the stream"))

    async def _fetch(
        self, request: PostModelOutputsRequest, raw: Payload | None, address: Address
    ) -> tuple[PostModelOutputsRequest, Payload | None]:
        """Fetch what its URLs lead to, into the request; beside it the bytes it came as, where they still are it."""
        request = complete(request, raw)
        return request, None if await fetch_inputs(request, self._fetcher, tenant=address.user_id) else raw

    def _recall(self, address: Address, headers: Headers) -> Target | None:
        """As `_reach`, where there is nothing to wait for: nearly always."""
        target = self._targets.recall(address, headers)
        return target if target is not None and self._router.is_ready(target.version_id) else None

    async def _reach(self, address: Address, headers: Headers, caller: str, deadline: float | None) -> Target:
        """The version to ask, once it has a replica. Where the traffic moves while a request waits, it goes along."""
        target = await self._targets.resolve(address, headers)
        if self._router.is_ready(target.version_id):
            return target
        changes = self._store.watch()
        while True:
            holding = asyncio.create_task(self._hold(target, caller, deadline))
            moved = await self._follow(address, headers, target, changes, holding)
            if moved is None:
                return target
            target = moved

    async def _follow(
        self, address: Address, headers: Headers, target: Target, changes: Waiter, holding: asyncio.Task[None]
    ) -> Target | None:
        """Wait with a request that is held: None when its replica is there, else where the traffic is now."""
        try:
            while not holding.done():
                watching = asyncio.create_task(changes.wait(timeout_s=LOOK_AGAIN_S))
                try:
                    await asyncio.wait({holding, watching}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    watching.cancel()
                if not holding.done():
                    now = await self._targets.resolve(address, headers)
                    if now.version_id != target.version_id and self._router.is_ready(now.version_id):
                        return now
            holding.result()
            return None
        finally:
            holding.cancel()
            await asyncio.gather(holding, return_exceptions=True)

    async def _hold(self, target: Target, caller: str, deadline: float | None, *, is_patient: bool = False) -> None:
        """Wait until a replica is there; ask for one where none is wanted. Raises ModelDeploying, ModelBusy,
        VersionNotFound."""
        if self._router.is_ready(target.version_id):
            return
        await self._want(target)
        until = None if is_patient else time.monotonic() + self._hold_s
        if deadline is not None:
            until = deadline if until is None else min(until, deadline)
        look_at = time.monotonic() + GIVE_UP_S
        while True:
            waits_until = look_at if until is None else min(until, look_at)
            if await self._router.wait_ready(target.version_id, caller=caller, deadline=waits_until):
                return
            version = await self._store.versions.get_by_id(target.version_id)
            has_failed = version is None or bool(version.state_message)
            if (has_failed and not is_patient) or (until is not None and time.monotonic() >= until):
                why = version.state_message if version is not None and version.state_message else "it is still loading"
                raise ModelDeploying(f"version {target.version_id} has no replica that is ready: {why}")
            look_at = time.monotonic() + GIVE_UP_S

    async def _want(self, target: Target) -> None:
        """Have a replica of it wanted, where it is not: an older version that is asked for by its id."""
        deployment = await self._store.deployments.get(target.version_id)
        if deployment is not None:
            if deployment.replicas == 0:
                await self._store.deployments.scale(target.version_id, 1, self._now())
            return
        version = await self._store.versions.get_by_id(target.version_id)
        if version is None:
            raise VersionNotFound(f"version {target.version_id} was deleted")
        await self._store.deployments.put(
            Deployment(
                version_id=target.version_id, key=version.key, replicas=1, is_default=False, modified_at=self._now()
            )
        )


def _check_inputs(request: PostModelOutputsRequest) -> None:
    count = len(request.inputs)
    if count == 0:
        raise InvalidRequest("inputs: the request has none; send at least one")
    if count > MAX_INPUTS:
        raise InvalidRequest(f"inputs: the request has {count}; at most {MAX_INPUTS} are allowed")


def _compose(target: Target, request: PostModelOutputsRequest, raw: Payload | None, note: bytes) -> Payload:
    """The bytes for the worker: the note, the version's defaults, then the caller's request."""
    if request.HasField("model") and request.model.model_version.output_info.data.concepts:
        return note + _merge(target, complete(request, raw))
    if raw is None:
        raw = request.SerializeToString()
    if isinstance(raw, bytes):
        if len(raw) <= LARGE_BYTES:
            return note + target.prefix + raw
        raw = Pieces((raw,))
    return raw.behind(note + target.prefix)


def _merge(target: Target, request: PostModelOutputsRequest) -> bytes:
    """The caller names concepts of their own: theirs replace the version's, instead of following them."""
    merged = PostModelOutputsRequest()
    merged.CopyFrom(target.defaults)
    merged.model.model_version.output_info.data.ClearField("concepts")
    merged.MergeFrom(request)
    payload: bytes = merged.SerializeToString()
    return payload
