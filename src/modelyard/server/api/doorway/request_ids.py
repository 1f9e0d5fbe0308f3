"""Ids of requests: what a client says in front, and 128 random bits."""

from __future__ import annotations

import os
import re

PREFIX_HEADER = b"x-clarifai-request-id-prefix"
ANSWER_HEADER = b"x-request-id"
POOL_BYTES = 1024
PREFIX_GRAMMAR = re.compile(rb"[A-Za-z0-9_.-]{1,64}")


class _Randomness:
    """Random bytes of the system's, fetched for many ids at once: a system call costs as much as the rest of an id."""

    def __init__(self) -> None:
        self._pool = b""
        os.register_at_fork(after_in_child=self._forget)

    def take(self, size: int) -> bytes:
        """The next bytes; none is given out twice, nor by two processes."""
        pool = self._pool if len(self._pool) >= size else os.urandom(POOL_BYTES)
        self._pool = pool[size:]
        return pool[:size]

    def _forget(self) -> None:
        self._pool = b""


_randomness = _Randomness()


def make_request_id(prefix: bytes | None) -> str:
    """`prefix-<32 hex digits>`; a prefix that is not plain (it reaches logs and headers) is left out."""
    unique = _randomness.take(16).hex()
    if prefix and PREFIX_GRAMMAR.fullmatch(prefix):
        return f"{prefix.decode('ascii')}-{unique}"
    return unique
