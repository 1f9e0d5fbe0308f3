"""What travels when a worker is asked to take an author's edits: RELOAD with paths, and its answer. Small JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from modelyard.errors import InternalError
from modelyard.wire.handshake import MAX_DETAILS_CHARS, MAX_MESSAGE_CHARS, METHODS

SAME, KEPT, RESTART, FAILED = "same", "kept", "restart", "failed"
START_FILES = frozenset({"config.yaml", "requirements.txt"})
"""What decides how a worker is started, and in which environment: no worker takes an edit of these."""
OUTCOMES = (SAME, KEPT, RESTART, FAILED)


@dataclass(frozen=True, kw_only=True)
class Reloaded:
    """What a worker did with the edits.

    same: nothing that it uses has changed. kept: it runs the new code, and what it had loaded stayed. restart: only a
    new process can take them, the message says why. failed: they are no Python, the message says where. In the last
    two it serves as before.
    """

    outcome: str
    message: str = ""
    details: str = ""
    changed: tuple[str, ...] = ()
    """The definitions that were exchanged; none where only lines moved."""
    methods: frozenset[str] = frozenset()
    """Of `predict generate stream`: what the class implements now."""
    in_flight: int = 0
    """Requests that were still in the old code when it was exchanged: they finish in it."""

    def encode(self) -> bytes:
        """The payload of the answer."""
        fields = {
            "outcome": self.outcome,
            "message": self.message[:MAX_MESSAGE_CHARS],
            "details": self.details[-MAX_DETAILS_CHARS:],
            "changed": list(self.changed),
            "methods": sorted(self.methods),
            "in_flight": self.in_flight,
        }
        return json.dumps(fields).encode()

    @classmethod
    def decode(cls, payload: bytes) -> Reloaded:
        """Read an answer. Raises `InternalError` where it is none."""
        try:
            fields = json.loads(payload)
            outcome, changed, methods = fields["outcome"], fields["changed"], fields["methods"]
            told = cls(
                outcome=str(outcome),
                message=str(fields["message"])[:MAX_MESSAGE_CHARS],
                details=str(fields["details"])[-MAX_DETAILS_CHARS:],
                changed=tuple(str(one) for one in changed),
                methods=METHODS & {str(one) for one in methods},
                in_flight=int(fields["in_flight"]),
            )
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise InternalError(f"a worker's answer to RELOAD cannot be read: {error!r}") from None
        if told.outcome not in OUTCOMES:
            raise InternalError(
                f"a worker's answer to RELOAD is one of {', '.join(OUTCOMES)}, not {told.outcome[:40]!r}"
            )
        return told


def encode_paths(paths: Iterable[str]) -> bytes:
    """The payload of RELOAD: the files that changed, relative to the folder, with `/`."""
    return json.dumps(sorted(paths)).encode()


def decode_paths(payload: bytes) -> tuple[str, ...]:
    """The files that a RELOAD names. Raises `InternalError` where it names none."""
    try:
        paths = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise InternalError(f"a RELOAD is not JSON: {error}") from None
    if not isinstance(paths, list) or not all(isinstance(one, str) for one in paths):
        raise InternalError("a RELOAD is a list of paths")
    return tuple(paths)
