"""The table of V2 methods, read from the published descriptor: never written out by hand.

Each method carries its REST bindings (`google.api.http`), its kind of authentication and the scopes it asks for as
options in the descriptor. Doors, access checks and generated tests all read this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from google.api.annotations_pb2 import http as http_option
from google.protobuf.message_factory import GetMessageClass

from modelyard.wire.messages import SERVICE_DESCRIPTOR, auth_options, auth_types, scope_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

SERVICE = "clarifai.api.V2"


class MethodKind(Enum):
    """Who streams: nobody, the server, the client, or both."""

    UNARY_UNARY = "unary_unary"
    UNARY_STREAM = "unary_stream"
    STREAM_UNARY = "stream_unary"
    STREAM_STREAM = "stream_stream"


class AuthKind(Enum):
    """What a caller must show: nothing, any token, a personal token, or a browser session."""

    NONE = "NoAuth"
    KEY = "KeyAuth"
    PAT = "PATAuth"
    SESSION = "SessionTokenAuth"
    ADMIN = "AdminAuth"
    UNKNOWN = "undef"


@dataclass(frozen=True, kw_only=True)
class Binding:
    """One REST binding: `GET /v2/users/{user_app_id.user_id}/apps`."""

    verb: str
    template: str
    body: str
    """`*` for the whole message, a field's name, or empty where the request has no body."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """One method of the V2 service, as the descriptor states it."""

    name: str
    kind: MethodKind
    request_type: type[Message]
    response_type: type[Message]
    bindings: tuple[Binding, ...]
    auth: AuthKind
    scopes: frozenset[str]
    """Names with underscores, as in the descriptor: `Models_Get`."""

    @property
    def path(self) -> str:
        """The gRPC path: `/clarifai.api.V2/GetModel`."""
        return f"/{SERVICE}/{self.name}"

    # Asked of each request, where Python 3.11 looks the members of an enumeration up slowly: worked out once.

    @cached_property
    def is_client_streaming(self) -> bool:
        """Does the client send more than one message?"""
        return self.kind in (MethodKind.STREAM_UNARY, MethodKind.STREAM_STREAM)

    @cached_property
    def is_server_streaming(self) -> bool:
        """Does the server send more than one message?"""
        return self.kind in (MethodKind.UNARY_STREAM, MethodKind.STREAM_STREAM)

    @cached_property
    def is_open(self) -> bool:
        """Does a caller need nothing?"""
        return self.auth is AuthKind.NONE

    @cached_property
    def takes_tokens(self) -> bool:
        """Does a token of a person's open it?"""
        return self.auth in (AuthKind.KEY, AuthKind.PAT)


@cache
def load_methods() -> dict[str, Method]:
    """All methods of the V2 service by name (273 in clarifai-grpc 12.6.0). Read once."""
    service = SERVICE_DESCRIPTOR.services_by_name["V2"]
    return {descriptor.name: _read_method(descriptor) for descriptor in service.methods}


def expand_scopes(names: frozenset[str]) -> frozenset[str]:
    """The scopes and all that they stand on: `Models_Add` brings `Models_Get` (the descriptor says which)."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(_read_scopes().get(name, ()))
    return frozenset(found)


def list_scope_names() -> list[str]:
    """Every scope that a token may carry, in the descriptor's order."""
    return list(_read_scopes())


@cache
def _read_scopes() -> dict[str, tuple[str, ...]]:
    enum = scope_pb2.S.DESCRIPTOR
    found: dict[str, tuple[str, ...]] = {}
    for value in enum.values:
        options = value.GetOptions()
        if options.Extensions[scope_pb2.clarfai_exposed]:
            below = options.Extensions[scope_pb2.clarifai_depending_scopes]
            found[value.name] = tuple(enum.values_by_number[number].name for number in below)
    return found


def _read_method(descriptor: Any) -> Method:
    options = descriptor.GetOptions()
    scopes = options.Extensions[auth_options.cl_depending_scopes]
    return Method(
        name=descriptor.name,
        kind=_read_kind(descriptor),
        request_type=GetMessageClass(descriptor.input_type),
        response_type=GetMessageClass(descriptor.output_type),
        bindings=_read_bindings(options),
        auth=AuthKind(auth_types.AuthType.Name(options.Extensions[auth_options.cl_auth_type])),
        scopes=frozenset(scope_pb2.S.Name(number) for number in scopes),
    )


def _read_kind(descriptor: Any) -> MethodKind:
    match (descriptor.client_streaming, descriptor.server_streaming):
        case (False, False):
            return MethodKind.UNARY_UNARY
        case (False, True):
            return MethodKind.UNARY_STREAM
        case (True, False):
            return MethodKind.STREAM_UNARY
        case _:
            return MethodKind.STREAM_STREAM


def _read_bindings(options: Any) -> tuple[Binding, ...]:
    rule = options.Extensions[http_option]
    bindings = []
    for one in (rule, *rule.additional_bindings):
        verb = one.WhichOneof("pattern")
        if verb:
            bindings.append(Binding(verb=verb.upper(), template=getattr(one, verb), body=one.body))
    return tuple(bindings)
