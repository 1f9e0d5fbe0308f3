"""What both versions of HTTP read out of a head."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote_to_bytes

from modelyard.server.carriers.base import STREAM_PATHS
from modelyard.server.carriers.http.exchange import Headers, Scope

GRPC_TYPE: Final = b"application/grpc"
VARYING: Final = frozenset({b"content-length", b"grpc-timeout", b"request-timeout"})
"""Heads that differ in nothing but what these say are alike: how long the body is, and how long the client waits."""
SAME: Final = ("method", "raw_path", "query_string", "http_version")
"""What makes two requests alike, beside their headers."""
LENGTH_DIGITS: Final = 18


def split_target(target: bytes) -> Scope:
    """What ASGI's scope has of a path and its query."""
    raw_path, _, query = target.partition(b"?")
    path = unquote_to_bytes(raw_path).decode("utf-8", "replace")
    return {"path": path, "raw_path": raw_path, "query_string": query}


def read_length(value: bytes) -> int | None:
    """A `content-length`; None where it is no number of bytes."""
    return int(value) if value.isdigit() and len(value) <= LENGTH_DIGITS else None


def may_be_silent(path: str, headers: Headers) -> bool:
    """Is the request a stream, whose client may say nothing for as long as it likes?"""
    return path in STREAM_PATHS or any(
        name == b"content-type" and value.startswith(GRPC_TYPE) for name, value in headers
    )


def are_alike(one: Scope, other: Scope, headers: Headers, others: Headers) -> bool:
    """Are two heads the same, but for what varies? Then what was made of one is good for the other."""
    if len(headers) != len(others) or [one.get(name) for name in SAME] != [other.get(name) for name in SAME]:
        return False
    differing = [a[0] if a[0] == b[0] else b"" for a, b in zip(headers, others, strict=True) if a != b]
    return VARYING.issuperset(differing)
