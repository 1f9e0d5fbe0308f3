"""Ids of requests: what a client says in front, and 128 random bits."""

from __future__ import annotations

import os
import re

PREFIX_HEADER = b"x-clarifai-request-id-prefix"
ANSWER_HEADER = b"x-request-id"
POOL_BYTES, ID_DIGITS = 1024, 32
PREFIX_GRAMMAR = re.compile(rb"[A-Za-z0-9_.-]{1,64}")


class _Randomness:
    """Random bytes of the system's, fetched for many ids at once: a system call costs as much as the rest of an id."""

    def __init__(self) -> None:
        self._digits = ""
        self._at = 0
        os.register_at_fork(after_in_child=self._forget)

    def take(self) -> str:
        """The next 32 hex digits; none is given out twice, nor by two processes."""
        at = self._at
        if at >= len(self._digits):
            self._digits, at = os.urandom(POOL_BYTES).hex(), 0
        self._at = at + ID_DIGITS
        return self._digits[at : at + ID_DIGITS]

    def _forget(self) -> None:
        self._digits = ""


_randomness = _Randomness()


def make_request_id(prefix: bytes | None) -> str:
    """`prefix-<32 hex digits>`; a prefix that is not plain (it reaches logs and headers) is left out."""
    unique = _randomness.take()
    if prefix and PREFIX_GRAMMAR.fullmatch(prefix):
        return f"{prefix.decode('ascii')}-{unique}"
    return unique
