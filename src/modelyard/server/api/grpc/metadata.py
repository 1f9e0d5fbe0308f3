"""The headers of a gRPC request, read in one pass, and the few of an answer."""

from __future__ import annotations

import time
from typing import Any, cast
from urllib.parse import quote

from modelyard.errors import InvalidRequest
from modelyard.server.api.doorway.request_ids import ANSWER_HEADER, PREFIX_HEADER
from modelyard.server.api.doorway.types import Headers
from modelyard.server.api.grpc.compression import ACCEPTED_ENCODINGS, IDENTITY
from modelyard.server.api.v2.call import HUB_TOKEN_HEADER, VERSION_HEADER, Envelope, Reply

CONTENT_TYPE = (b"content-type", b"application/grpc")
ACCEPT_ENCODING = (b"grpc-accept-encoding", ",".join(ACCEPTED_ENCODINGS).encode())
WANTED = frozenset(
    {
        b"authorization",
        b"grpc-timeout",
        b"grpc-encoding",
        b"grpc-accept-encoding",
        PREFIX_HEADER,
        HUB_TOKEN_HEADER,
        VERSION_HEADER,
    }
)
TIMEOUT_DIGITS = 8
TIMEOUT_UNITS_S = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if code != ord("%"))


def read_metadata(headers: Headers) -> dict[bytes, bytes]:
    """Those headers that matter."""
    return {name: value for name, value in headers if name in WANTED}


def make_envelope(metadata: dict[bytes, bytes], headers: Headers, request_id: str) -> Envelope:
    """What dispatch needs; raises `InvalidRequest` for a wrong timeout."""
    authorization = metadata.get(b"authorization")
    envelope = Envelope(
        authorization=None if authorization is None else authorization.decode("latin-1"),
        request_id=request_id,
        deadline=None,
        headers=headers,
    )
    if len(metadata) > 1:
        if (timeout := metadata.get(b"grpc-timeout")) is not None:
            envelope.deadline = time.monotonic() + parse_timeout(timeout)
        if hub_token := metadata.get(HUB_TOKEN_HEADER):
            envelope.hub_token = hub_token.decode("latin-1")
        if version := metadata.get(VERSION_HEADER):
            envelope.version = version.decode("latin-1")
    return envelope


def read_encoding(metadata: dict[bytes, bytes]) -> str:
    """How the request's compressed messages are compressed."""
    encoding = metadata.get(b"grpc-encoding")
    return encoding.decode("latin-1") if encoding else IDENTITY


def parse_timeout(text: bytes) -> float:
    """Seconds of a `grpc-timeout`: up to eight digits and one of H M S m u n."""
    digits, unit = text[:-1], text[-1:]
    if unit not in TIMEOUT_UNITS_S or not digits.isdigit() or len(digits) > TIMEOUT_DIGITS:
        raise InvalidRequest(f"grpc-timeout {text.decode('latin-1')!r} is not 1 to 8 digits and one of H M S m u n")
    return int(digits) * TIMEOUT_UNITS_S[unit]


def wants_gzip(metadata: dict[bytes, bytes]) -> bool:
    """Does the client compress with gzip itself, and take it? Then its answers are compressed, too."""
    if metadata.get(b"grpc-encoding") != b"gzip":
        return False
    return any(one.strip() == b"gzip" for one in metadata.get(b"grpc-accept-encoding", b"").split(b","))


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
