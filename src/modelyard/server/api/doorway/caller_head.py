"""What every door reads out of the headers of a request: who calls, and what is said beside the message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelyard.server.api.doorway.request_ids import PREFIX_HEADER
from modelyard.server.api.doorway.types import Headers
from modelyard.server.api.v2.call import HUB_TOKEN_HEADER, VERSION_HEADER, Envelope
from modelyard.server.telemetry.tracing import Caller as TraceCaller
from modelyard.server.telemetry.tracing import read_caller

READ_HEADERS = frozenset({b"authorization", PREFIX_HEADER, HUB_TOKEN_HEADER, VERSION_HEADER})


@dataclass(slots=True, kw_only=True)
class CallerHead:
    """The same at each door."""

    prefix: bytes | None
    """What the caller wants in front of the request's id."""
    authorization: str | None = field(repr=False)
    hub_token: str = field(repr=False)
    version: str
    trace: TraceCaller | None
    """The trace that the caller is in."""


def read_caller_head(headers: Mapping[bytes, bytes], pairs: Headers) -> CallerHead:
    """Of the headers by name, `READ_HEADERS` among them, and of all as they came."""
    authorization = headers.get(b"authorization")
    return CallerHead(
        prefix=headers.get(PREFIX_HEADER),
        authorization=None if authorization is None else authorization.decode("latin-1"),
        hub_token=headers.get(HUB_TOKEN_HEADER, b"").decode("latin-1"),
        version=headers.get(VERSION_HEADER, b"").decode("latin-1"),
        trace=read_caller(pairs),
    )


def make_envelope(head: CallerHead, headers: Headers, request_id: str, deadline: float | None) -> Envelope:
    """What dispatch needs."""
    return Envelope(
        authorization=head.authorization,
        request_id=request_id,
        deadline=deadline,
        hub_token=head.hub_token,
        version=head.version,
        headers=headers,
        trace=head.trace,
    )
