"""What the headers of a REST request say, read in one pass."""

from __future__ import annotations

import time
from dataclasses import dataclass

from modelyard.errors import InvalidRequest
from modelyard.server.api.doorway.request_ids import PREFIX_HEADER
from modelyard.server.api.doorway.shortcuts import recall
from modelyard.server.api.doorway.types import Headers, Scope
from modelyard.server.api.v2.call import HUB_TOKEN_HEADER, VERSION_HEADER, Envelope

HEAD = "visit"
"""What the memo of a head has its `VisitHead` under."""
TIMEOUT_HEADER = b"request-timeout"
"""Seconds that the caller waits, such as `2.5`: what `grpc-timeout` is to gRPC."""
MAX_TIMEOUT_S = 1e8
IDENTITY = b"identity"
EVENT_STREAM = b"text/event-stream"
WANTED = frozenset(
    {b"authorization", b"accept", b"content-encoding", TIMEOUT_HEADER, PREFIX_HEADER, HUB_TOKEN_HEADER, VERSION_HEADER}
)


@dataclass(slots=True, kw_only=True)
class VisitHead:
    """What is looked at of a head, its path excepted."""

    verb: str
    """The method of HTTP; GET for a HEAD, too."""
    is_head: bool
    prefix: bytes | None
    """What the caller wants in front of the request's id."""
    authorization: str | None
    is_compressed: bool
    accepts_events: bool
    """Does it want a stream as server-sent events?"""
    timeout: bytes | None
    hub_token: str
    version: str


def read_head(scope: Scope) -> VisitHead:
    """In one pass."""
    headers = {name: value for name, value in scope["headers"] if name in WANTED}
    is_head = scope["method"] == "HEAD"

    def read(name: bytes) -> str:
        return str(headers.get(name, b""), "latin-1")

    return VisitHead(
        verb="GET" if is_head else str(scope["method"]),
        is_head=is_head,
        prefix=headers.get(PREFIX_HEADER),
        authorization=read(b"authorization") if b"authorization" in headers else None,
        is_compressed=headers.get(b"content-encoding", IDENTITY).lower() != IDENTITY,
        accepts_events=EVENT_STREAM in headers.get(b"accept", b"").lower(),
        timeout=headers.get(TIMEOUT_HEADER),
        hub_token=read(HUB_TOKEN_HEADER),
        version=read(VERSION_HEADER),
    )


def recall_head(scope: Scope) -> VisitHead:
    """As `read_head`, and once where the carrier knows the same head again."""
    return recall(scope, HEAD, read_head)


def make_envelope(head: VisitHead, headers: Headers, request_id: str) -> Envelope:
    """What dispatch needs; raises `InvalidRequest` for a wrong timeout."""
    return Envelope(
        authorization=head.authorization,
        request_id=request_id,
        deadline=None if head.timeout is None else read_deadline(head.timeout),
        hub_token=head.hub_token,
        version=head.version,
        headers=headers,
    )


def read_deadline(value: bytes) -> float:
    """A `time.monotonic()` value of a `request-timeout` header; raises `InvalidRequest`."""
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_TIMEOUT_S:
        raise InvalidRequest(f"request-timeout {value.decode('latin-1')!r} is not a number of seconds")
    return time.monotonic() + seconds
