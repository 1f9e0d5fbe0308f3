"""Ids of requests: what a client says in front, and 128 random bits."""

from __future__ import annotations

import os
import re

PREFIX_HEADER = b"x-clarifai-request-id-prefix"
ANSWER_HEADER = b"x-request-id"
PREFIX_GRAMMAR = re.compile(rb"[A-Za-z0-9_.-]{1,64}")


def make_request_id(prefix: bytes | None) -> str:
    """`prefix-<32 hex digits>`; a prefix that is not plain (it reaches logs and headers) is left out."""
    unique = os.urandom(16).hex()
    if prefix and PREFIX_GRAMMAR.fullmatch(prefix):
        return f"{prefix.decode('ascii')}-{unique}"
    return unique
