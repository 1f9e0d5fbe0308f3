"""The headers of a gRPC request, read in one pass, and the few of an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote

from modelyard.errors import InvalidRequest
from modelyard.server.api.doorway.caller_head import READ_HEADERS, CallerHead, read_caller_head
from modelyard.server.api.doorway.deadlines import DeadlineOf, find_deadline
from modelyard.server.api.doorway.request_ids import ANSWER_HEADER
from modelyard.server.api.doorway.shortcuts import recall
from modelyard.server.api.doorway.types import Headers, Scope
from modelyard.server.api.grpc.compression import ACCEPTED_ENCODINGS, IDENTITY
from modelyard.server.api.v2.call import Reply

HEAD = "call"
"""What the memo of a head has its `CallHead` under."""
CONTENT_TYPE = (b"content-type", b"application/grpc")
ACCEPT_ENCODING = (b"grpc-accept-encoding", ",".join(ACCEPTED_ENCODINGS).encode())
WANTED = READ_HEADERS | {b"grpc-encoding", b"grpc-accept-encoding"}
TIMEOUT_DIGITS = 8
TIMEOUT_UNITS_S = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if code != ord("%"))


@dataclass(slots=True, kw_only=True)
class CallHead:
    """What the headers of a call say, its path excepted."""

    caller: CallerHead
    encoding: str
    """How compressed messages of the request are compressed."""
    is_gzip: bool
    """Does the client compress with gzip itself, and take it? Then its answers are compressed, too."""
    deadline_of: DeadlineOf | None
    """When its caller gives up, by `grpc-timeout`."""


def read_head(headers: Headers) -> CallHead:
    """In one pass."""
    metadata = {name: value for name, value in headers if name in WANTED}
    accepted = metadata.get(b"grpc-accept-encoding", b"").split(b",")
    return CallHead(
        caller=read_caller_head(metadata, headers),
        encoding=metadata.get(b"grpc-encoding", b"").decode("latin-1") or IDENTITY,
        is_gzip=metadata.get(b"grpc-encoding") == b"gzip" and any(one.strip() == b"gzip" for one in accepted),
        deadline_of=find_deadline(headers, b"grpc-timeout", parse_timeout),
    )


def recall_head(scope: Scope) -> CallHead:
    """As `read_head`, and once where the carrier knows the same head again."""
    return recall(scope, HEAD, _read_scope)


def _read_scope(scope: Scope) -> CallHead:
    return read_head(scope["headers"])


def parse_timeout(text: bytes) -> float:
    """Seconds of a `grpc-timeout`: up to eight digits and one of H M S m u n."""
    digits, unit = text[:-1], text[-1:]
    if unit not in TIMEOUT_UNITS_S or not digits.isdigit() or len(digits) > TIMEOUT_DIGITS:
        raise InvalidRequest(f"grpc-timeout {text.decode('latin-1')!r} is not 1 to 8 digits and one of H M S m u n")
    return int(digits) * TIMEOUT_UNITS_S[unit]


def answer_headers(request_id: str, *, is_gzip: bool = False) -> Headers:
    """The headers in front of messages."""
    headers = [CONTENT_TYPE, (ANSWER_HEADER, request_id.encode("ascii"))]
    return [*headers, (b"grpc-encoding", b"gzip")] if is_gzip else headers


def retry_trailers(reply: Reply) -> Headers:
    """When a refused request may come again, as the REST door's `retry-after` says it. Answers of models pass by."""
    seconds = 0 if isinstance(reply, bytes) else cast("Any", reply).status.time_remaining
    return [(b"retry-after", b"%d" % seconds)] if seconds else []


def status_headers(code: int, message: str = "") -> Headers:
    """The trailers: the status, and its text percent-encoded."""
    headers = [(b"grpc-status", b"%d" % code)]
    if message:
        headers.append((b"grpc-message", quote(message, safe=_PLAIN, errors="replace").encode("ascii")))
    return headers
