"""Calls of V2 methods over gRPC: messages in, messages out, errors of ours instead of gRPC's."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, cast
from urllib.parse import urlsplit

import grpc

from modelyard.client.auth import Context
from modelyard.client.outputs import find_failure
from modelyard.errors import (
    Cancelled,
    DeadlineExceeded,
    InternalError,
    InvalidRequest,
    MethodNotImplemented,
    ModelyardError,
    TooLarge,
    Unavailable,
)
from modelyard.wire.messages import Message, MultiOutputResponse, Status, StatusCode
from modelyard.wire.methods import load_methods
from modelyard.wire.status import error_of

MAX_MESSAGE_BYTES = 1024**3
OPTIONS = [
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.enable_retries", 0),
]
CUTS = ("Socket closed", "Connection reset", "Broken pipe", "GOAWAY", "Stream removed", "RST_STREAM", "Endpoint")
"""How gRPC tells of connections that were there and broke."""
_ERRORS: dict[grpc.StatusCode, type[ModelyardError]] = {
    grpc.StatusCode.UNIMPLEMENTED: MethodNotImplemented,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.CANCELLED: Cancelled,
    grpc.StatusCode.RESOURCE_EXHAUSTED: TooLarge,
}


class Transport:
    """One channel to one server. Use it as a context manager, or `close` it.

    Every method raises the `ModelyardError` that an answer's status tells, `Unavailable` where no server answers, and
    `DeadlineExceeded` after `timeout_s` seconds (None: it waits).
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self._channel = _open_channel(context.base)
        self._metadata = (("authorization", f"Key {context.token}"),)
        self.was_reached = False
        """Has a server answered, or a connection to it broken? Where one is, asking again may help."""

    def __enter__(self) -> Transport:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the channel; calls that run are cancelled."""
        self._channel.close()

    def call(self, name: str, request: Message, *, timeout_s: float | None = None) -> Any:
        """One message in, one out."""
        invoke = self._method(name, self._channel.unary_unary)
        try:
            answer = invoke(request, metadata=self._metadata, timeout=timeout_s)
        except grpc.RpcError as error:
            raise self._explain(error) from None
        self.was_reached = True
        return check(answer)

    def generate(self, name: str, request: Message, *, timeout_s: float | None = None) -> Iterator[Any]:
        """One message in, many out."""
        invoke = self._method(name, self._channel.unary_stream)
        return self._read(invoke(request, metadata=self._metadata, timeout=timeout_s))

    def stream(
        self,
        name: str,
        requests: Iterable[Message],
        *,
        timeout_s: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[Any]:
        """Many in, many out, at the same time. `headers` go beside the token."""
        invoke = self._method(name, self._channel.stream_stream)
        metadata = (*self._metadata, *(headers or {}).items())
        return self._read(invoke(iter(requests), metadata=metadata, timeout=timeout_s))

    def _read(self, answers: Any) -> Iterator[Any]:
        try:
            for answer in answers:
                yield check(answer)
        except grpc.RpcError as error:
            raise self._explain(error) from None
        finally:
            answers.cancel()

    def _method(self, name: str, make: Any) -> Any:
        method = load_methods()[name]
        return make(
            method.path,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=cast("Any", method.response_type).FromString,
        )

    def _explain(self, error: grpc.RpcError) -> ModelyardError:
        code, details = cast("Any", error).code(), cast("Any", error).details()
        if code is grpc.StatusCode.UNAVAILABLE:
            self.was_reached |= any(words in details for words in CUTS)
            return Unavailable(f"no server answers at {self.context.base}: {details}", hint="modelyard up")
        return _ERRORS.get(code, InternalError)(f"{details} (gRPC {code.name})")


def check(answer: Any) -> Any:
    """The answer, if its status tells no error; a status that tells progress is none. Raises what it tells."""
    status: Status = answer.status
    fine = (StatusCode.SUCCESS, StatusCode.UPLOAD_IN_PROGRESS, StatusCode.MODEL_BUILDING, StatusCode.MIXED_STATUS)
    if status.code not in fine:
        is_of_outputs = status.code == StatusCode.FAILURE and isinstance(answer, MultiOutputResponse)
        raise (find_failure(answer) if is_of_outputs else None) or error_of(status)
    return answer


def _open_channel(base: str) -> grpc.Channel:
    parts = urlsplit(base if "://" in base else f"http://{base}")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
        raise _refuse(base)
    try:
        port = parts.port or (80 if parts.scheme == "http" else 443)
    except ValueError:
        raise _refuse(base) from None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    options = [*OPTIONS, ("grpc.enable_http_proxy", int(not _is_this_machine(parts.hostname)))]
    if parts.scheme == "http":
        return grpc.insecure_channel(f"{host}:{port}", options=options)
    return grpc.secure_channel(f"{host}:{port}", grpc.ssl_channel_credentials(), options=options)


def _is_this_machine(host: str) -> bool:
    """A proxy of the environment cannot reach it: gRPC would ask one even for the loopback."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refuse(base: str) -> InvalidRequest:
    return InvalidRequest(f"{base!r} is not the address of a server", hint="write it as http://HOST:PORT")
