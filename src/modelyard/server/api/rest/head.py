"""What the headers of a REST request say, read in one pass."""

from __future__ import annotations

from dataclasses import dataclass

from modelyard.errors import InvalidRequest
from modelyard.server.api.doorway.caller_head import READ_HEADERS, CallerHead, read_caller_head
from modelyard.server.api.doorway.deadlines import DeadlineOf, find_deadline
from modelyard.server.api.doorway.shortcuts import recall
from modelyard.server.api.doorway.types import Scope

HEAD = "visit"
"""What the memo of a head has its `VisitHead` under."""
TIMEOUT_HEADER = b"request-timeout"
"""Seconds that the caller waits, such as `2.5`: what `grpc-timeout` is to gRPC."""
MAX_TIMEOUT_S = 1e8
IDENTITY = b"identity"
EVENT_STREAM = b"text/event-stream"
WANTED = READ_HEADERS | {b"accept", b"content-encoding"}


@dataclass(slots=True, kw_only=True)
class VisitHead:
    """What is looked at of a head, its path excepted."""

    verb: str
    """The method of HTTP; GET for a HEAD, too."""
    is_head: bool
    caller: CallerHead
    is_compressed: bool
    accepts_events: bool
    """Does it want a stream as server-sent events?"""
    deadline_of: DeadlineOf | None
    """When its caller gives up, by `request-timeout`."""


def read_head(scope: Scope) -> VisitHead:
    """In one pass."""
    headers = {name: value for name, value in scope["headers"] if name in WANTED}
    is_head = scope["method"] == "HEAD"
    return VisitHead(
        verb="GET" if is_head else str(scope["method"]),
        is_head=is_head,
        caller=read_caller_head(headers, scope["headers"]),
        is_compressed=headers.get(b"content-encoding", IDENTITY).lower() != IDENTITY,
        accepts_events=EVENT_STREAM in headers.get(b"accept", b"").lower(),
        deadline_of=find_deadline(scope["headers"], TIMEOUT_HEADER, parse_timeout),
    )


def recall_head(scope: Scope) -> VisitHead:
    """As `read_head`, and once where the carrier knows the same head again."""
    return recall(scope, HEAD, read_head)


def parse_timeout(text: bytes) -> float:
    """Seconds of a `request-timeout`; raises `InvalidRequest`."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_TIMEOUT_S:
        raise InvalidRequest(f"request-timeout {text.decode('latin-1')!r} is not a number of seconds")
    return seconds
