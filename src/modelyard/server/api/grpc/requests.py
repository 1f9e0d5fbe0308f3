"""The messages of a gRPC request: exactly one, or as many as the client sends."""

from __future__ import annotations

from modelyard.errors import Cancelled, InvalidRequest, ModelyardError
from modelyard.server.api.doorway.inflow import Inflow
from modelyard.server.api.doorway.types import Event, Receive
from modelyard.server.api.grpc.framing import JOINED_BYTES, PREFIX, MessageReader
from modelyard.server.api.v2.call import Incoming
from modelyard.server.api.v2.plain import read_plain
from modelyard.wire.messages import DecodeError, PostModelOutputsRequest
from modelyard.wire.methods import Method
from modelyard.wire.outline import parse_outline
from modelyard.wire.pieces import Payload, Pieces


class CardinalityViolated(InvalidRequest):
    """A method that takes one message was sent none, or more."""


def read_incoming(method: Method, payload: Payload) -> Incoming:
    """The request, as the method wants it; raises `InvalidRequest`."""
    request_type = method.request_type
    is_for_model = request_type is PostModelOutputsRequest
    try:
        if isinstance(payload, bytes):
            return Incoming(request_type.FromString(payload), payload, read_plain(payload) if is_for_model else None)
        message = parse_outline(request_type, payload) if is_for_model else request_type.FromString(payload.join())
        return Incoming(message, payload)
    except DecodeError:
        raise InvalidRequest(f"the request message is not a {request_type.DESCRIPTOR.full_name}") from None


def take_plain(body: bytes, max_bytes: int) -> Payload | None:
    """The message, where this beginning of a body has all of it, uncompressed and nothing else: nearly all requests."""
    size = len(body) - PREFIX.size
    if 0 <= size <= max_bytes and PREFIX.unpack_from(body) == (0, size):
        return body[PREFIX.size :] if size <= JOINED_BYTES else Pieces((memoryview(body)[PREFIX.size :],))
    return None


async def read_only_message(first: Event, receive: Receive, encoding: str, max_bytes: int) -> Payload:
    """The one message of a request.

    The end of the request is not waited for: servers tell it in an event of its own, and that wait costs more than the
    rest of a small request.

    Raises:
        CardinalityViolated: there is none, or something follows it.
        TooLarge, InvalidRequest: as `MessageReader.take`; the body ends inside a message.
        Cancelled: the caller went away.
    """
    reader = MessageReader(encoding, max_bytes)
    event = first
    while True:
        if event["type"] == "http.disconnect":
            raise Cancelled("the caller went away")
        reader.feed(event.get("body", b""))
        message = await reader.take()
        if message is not None:
            if not reader.is_between_messages:
                raise CardinalityViolated("the method takes one request message; something follows it")
            return message
        if not event.get("more_body"):
            break
        event = await receive()
    if not reader.is_between_messages:
        raise InvalidRequest("the request ended inside a message")
    raise CardinalityViolated("the method takes one request message; there is none")


class Incomings:
    """The messages of a request stream, read when they are asked for. `error` keeps what is wrong with the stream."""

    def __init__(self, method: Method, inflow: Inflow, encoding: str, max_bytes: int) -> None:
        self._method = method
        self._inflow = inflow
        self._reader = MessageReader(encoding, max_bytes)
        self.error: ModelyardError | None = None

    def __aiter__(self) -> Incomings:
        return self

    async def __anext__(self) -> Incoming:
        try:
            payload = await self._read()
            if payload is None:
                raise StopAsyncIteration
            return read_incoming(self._method, payload)
        except ModelyardError as error:
            self.error = error
            raise

    async def _read(self) -> Payload | None:
        while (payload := await self._reader.take()) is None:
            chunk = await self._inflow.read()
            if not chunk:
                if self._reader.is_between_messages:
                    return None
                raise InvalidRequest("the request ended inside a message")
            self._reader.feed(chunk)
        return payload
