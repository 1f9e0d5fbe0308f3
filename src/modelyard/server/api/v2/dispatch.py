"""The one choke point: every request of every door passes here on its way to a handler.

method known? -> handler there? -> token -> kind and scopes -> user and app -> handler

Errors become the method's response message with a V2 status: clients read application errors from there, not from the
transport. Raised are `MethodNotImplemented`, by `find`, which doors call first, and `DeadlineExceeded`: whoever notices
first that a request's time is up, it is told in the one way that the door has for it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, cast

from modelyard.errors import (
    DeadlineExceeded,
    InternalError,
    InvalidRequest,
    MethodNotImplemented,
    ModelyardError,
    UploadIncomplete,
)
from modelyard.server.api.access import Access
from modelyard.server.api.v2.call import Call, Envelope, Handler, Incoming, Reply, Sender
from modelyard.server.api.v2.errand import Errand
from modelyard.server.api.v2.failures import make_failure, read_code, read_end
from modelyard.server.api.v2.plain import Named
from modelyard.server.api.v2.scope import AppNames, names_of
from modelyard.server.records import Caller
from modelyard.server.telemetry.requests import GONE, Stopwatch, peek_code
from modelyard.server.telemetry.telemetry import Telemetry
from modelyard.server.telemetry.tracing import Trace
from modelyard.wire.methods import Method, load_methods
from modelyard.wire.pieces import Payload
from modelyard.wire.status import SUCCESS, codes_of


class V2:
    """The V2 methods, behind their checks."""

    def __init__(
        self,
        access: Access,
        handlers: Mapping[str, Handler],
        telemetry: Telemetry | None = None,
        senders: Mapping[str, Sender] | None = None,
    ) -> None:
        unknown = handlers.keys() - load_methods().keys()
        if unknown:
            raise InternalError(f"handlers for methods that the descriptor does not have: {sorted(unknown)}")
        self._access = access
        telemetry = telemetry or Telemetry()
        self._requests, self._tracing = telemetry.requests, telemetry.tracing
        self._handlers: dict[str, Any] = dict(handlers)
        self._senders = dict(senders or {})
        self._methods = {name: load_methods()[name] for name in handlers}

    @property
    def handled(self) -> frozenset[str]:
        """Names of the methods that have a handler."""
        return frozenset(self._handlers)

    def find(self, name: str) -> Method:
        """The method; raises `MethodNotImplemented` where it is unknown or has no handler here."""
        method = self._methods.get(name)
        if method is None:
            known = "is not implemented by this server" if name in load_methods() else "is not a method of the V2 API"
            raise MethodNotImplemented(f"{name} {known}")
        return method

    async def admit(self, name: str, envelope: Envelope) -> Reply | None:
        """Look at the token alone, before a large body is read: None where it is good, else the answer."""
        method = self.find(name)
        try:
            await self._authenticate(method, envelope)
        except Exception as error:  # noqa: BLE001  the request's boundary: `make_failure` logs it
            return make_failure(method, envelope.request_id, None, error)
        return None

    async def enter(self, name: str, envelope: Envelope, user_id: str, app_id: str) -> Call:
        """Let a caller in who does by a path of ours what a method does: the same token, scopes, user and app.

        Raises what keeps them out.
        """
        method = self.find(name)
        caller = await self._access.authenticate(envelope.authorization)
        key = self._access.authorize(caller, method, user_id, app_id)
        return _make_call(method, caller, envelope, key.user_id, key.app_id)

    async def unary(self, name: str, incoming: Incoming, envelope: Envelope) -> Reply:
        """Answer a method where the client sends one message and gets one."""
        method = self._methods.get(name) or self.find(name)
        watch, code, caller = self._begin(name, envelope), GONE, None
        try:
            recalled = None if method.is_open else self._access.recall(envelope.authorization)
            caller = recalled or await self._authenticate(method, envelope)
            call = self._authorize(method, caller, incoming, envelope, watch)
            reply: Reply = await self._handlers[name](call, incoming.message)
            code = peek_code(reply) if isinstance(reply, bytes) else read_code(_complete(reply, envelope))
            return reply
        except DeadlineExceeded as error:
            code = codes_of(error).v2
            raise
        except Exception as error:  # noqa: BLE001  the request's boundary: `make_failure` logs it
            reply = make_failure(method, envelope.request_id, caller, error, watch)
            code = read_code(reply)
            return reply
        finally:
            watch.stop(read_end(envelope.deadline) if code == GONE else code)

    def sends(self, name: str) -> bool:
        """May requests for this method be sent, instead of asking `unary`?"""
        return name in self._senders

    def send(self, name: str, incoming: Incoming, envelope: Envelope, errand: Errand) -> bool:
        """As `unary`, without awaiting, for a request that has nothing to wait for: its token and version are known,
        and a replica is there.

        Args:
            name: The method's.
            incoming: The request; `UNREAD` will do for the message of a plain one.
            envelope: Of a request with the same head; the errand has this request's id and deadline.
            errand: Told, later, how it ends.

        Returns:
            False: nothing was done, and `unary` has to be asked.
        """
        caller = self._access.recall(envelope.authorization)
        if caller is None:
            return False
        errand.watch = watch = Stopwatch(self._requests, name)
        try:
            errand.call = call = self._authorize(self._methods[name], caller, incoming, envelope, watch, errand)
            if self._tracing is not None:
                watch.trace = self._tracing.start(name, errand.request_id, envelope.headers, envelope.trace)
                if watch.trace is not None:
                    _tell_caller(watch.trace, caller)
            errand.passage = self._senders[name](call, incoming.message, errand)
        except ModelyardError:
            return False
        return errand.passage is not None

    async def stream(
        self, name: str, incomings: AsyncIterator[Incoming], envelope: Envelope
    ) -> AsyncGenerator[Reply, None]:
        """Answer a method where either side streams. After an error: its status as the last message, then the end."""
        method = self.find(name)
        watch, code, caller, reply = self._begin(name, envelope), GONE, None, None
        try:
            caller = await self._authenticate(method, envelope)
            async with aclosing(self._open(method, caller, incomings, envelope, watch)) as replies:
                async for reply in replies:
                    yield _complete(reply, envelope)
            code = read_code(reply) if reply is not None else SUCCESS
        except DeadlineExceeded as error:
            code = codes_of(error).v2
            raise
        except Exception as error:  # noqa: BLE001  the request's boundary: `make_failure` logs it
            failure = make_failure(method, envelope.request_id, caller, error, watch)
            code = read_code(failure)
            yield failure
        finally:
            watch.stop(read_end(envelope.deadline) if code == GONE else code)

    def _begin(self, name: str, envelope: Envelope) -> Stopwatch:
        """What measures a request from here on, and traces it where that is asked for."""
        watch = Stopwatch(self._requests, name)
        if self._tracing is not None:
            watch.trace = self._tracing.begin(name, envelope.request_id, envelope.headers, envelope.trace)
        return watch

    async def _open(
        self,
        method: Method,
        caller: Caller | None,
        incomings: AsyncIterator[Incoming],
        envelope: Envelope,
        watch: Stopwatch,
    ) -> AsyncGenerator[Reply, None]:
        """Take the first message, check it, and pass on what the handler answers."""
        first = await anext(incomings, None)
        if first is None:
            raise _empty_stream(method)
        call = self._authorize(method, caller, first, envelope, watch)
        request = _guarded(call, first, incomings) if method.is_client_streaming else first.message
        replies = self._handlers[method.name](call, request)
        try:
            async for reply in replies:
                yield reply
        finally:
            if hasattr(replies, "aclose"):
                await replies.aclose()

    async def _authenticate(self, method: Method, envelope: Envelope) -> Caller | None:
        if method.is_open:
            return None
        recalled = self._access.recall(envelope.authorization)
        return recalled or await self._access.authenticate(envelope.authorization)

    def _authorize(
        self,
        method: Method,
        caller: Caller | None,
        first: Incoming,
        envelope: Envelope,
        watch: Stopwatch,
        errand: Errand | None = None,
    ) -> Call:
        named = first.named
        user_id, app_id = names_of(first.message) if named is None else named[:2]
        if caller is not None:
            key = self._access.authorize(caller, method, user_id, app_id)
            user_id, app_id = key.user_id, key.app_id
            if watch.trace is not None:
                _tell_caller(watch.trace, caller)
        return _make_call(
            method, caller, envelope, user_id, app_id, errand=errand, raw=first.raw, named=named, watch=watch
        )


def _tell_caller(trace: Trace, caller: Caller) -> None:
    """Note in the trace of a request what kind of caller it is of."""
    trace.caller = "app" if caller.app_ids else "user"


def _make_call(
    method: Method,
    caller: Caller | None,
    envelope: Envelope,
    user_id: str,
    app_id: str,
    *,
    errand: Errand | None = None,
    raw: Payload | None = None,
    named: Named | None = None,
    watch: Stopwatch | None = None,
) -> Call:
    of = errand or envelope
    return Call(
        method=method,
        caller=caller,
        request_id=of.request_id,
        deadline=of.deadline,
        user_id=user_id,
        app_id=app_id,
        raw=raw,
        hub_token=envelope.hub_token,
        version=envelope.version,
        headers=envelope.headers,
        trace=envelope.trace,
        watch=watch,
        named=named,
    )


async def _guarded(call: Call, first: Incoming, incomings: AsyncIterator[Incoming]) -> AsyncIterator[Incoming]:
    """The stream's messages; one that names another user or app than the first ends it."""
    names = AppNames(call.user_id, call.app_id)
    yield first
    async for incoming in incomings:
        if not names.includes(names_of(incoming.message)):
            raise InvalidRequest(
                f"a later message of the stream names another user or app than the first ({names})",
                hint="one stream works in one app: open another stream",
            )
        yield incoming


def _empty_stream(method: Method) -> ModelyardError:
    if method.name.endswith("Upload"):
        return UploadIncomplete("the upload stream ended before its first message, upload_config")
    return InvalidRequest(f"the request stream of {method.name} ended before its first message")


def _complete(reply: Reply, envelope: Envelope) -> Reply:
    """Fill in what a handler may leave out: the status of success and the request's id."""
    if isinstance(reply, bytes):
        return reply
    status = cast("Any", reply).status
    if not status.code:
        status.code = SUCCESS
        status.description = status.description or "Ok"
    if not status.req_id:
        status.req_id = envelope.request_id
    return reply
