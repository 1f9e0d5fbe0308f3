"""What a worker says of itself: HELLO once, then STATE at each change. Small JSON objects in frames."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from modelyard.errors import InternalError
from modelyard.wire.frames import PROTOCOL

LOADING, READY, LEAVING, FAILED = "loading", "ready", "leaving", "failed"
STATES = (LOADING, READY, LEAVING, FAILED)
METHODS = frozenset({"predict", "generate", "stream"})
MAX_MESSAGE_CHARS = 4_000
MAX_DETAILS_CHARS = 32_000
MAX_SIGNATURES_CHARS = 512_000


@dataclass(frozen=True, kw_only=True)
class Hello:
    """The first frame: who connects, by which token, speaking which protocol."""

    token: str
    replica_id: str
    protocol: int = PROTOCOL
    shares: bool = False
    """Has it the memory that it was given to share? See `wire/shared.py`."""

    def encode(self) -> bytes:
        """The payload of HELLO."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, payload: bytes) -> Hello:
        """Read a HELLO. Raises `InternalError` where it is none."""
        fields = _read_object(payload)
        protocol = fields.get("protocol")
        if not isinstance(protocol, int):
            raise InternalError("the hello of a worker names no protocol")
        return cls(
            protocol=protocol,
            token=_text(fields, "token"),
            replica_id=_text(fields, "replica_id"),
            shares=fields.get("shares") is True,
        )


@dataclass(frozen=True, kw_only=True)
class State:
    """A worker's state: `loading`, `ready` with its methods, `leaving` where somebody asked it to, or `failed` with the
    reason."""

    state: str
    message: str = ""
    details: str = ""
    methods: frozenset[str] = frozenset()
    signatures: str = ""
    """Of typed methods: JSON, as `wire/signatures.py` writes it. Whoever knows nothing of it leaves it alone."""

    def encode(self) -> bytes:
        """The payload of STATE."""
        fields: dict[str, object] = {
            "state": self.state,
            "message": self.message[:MAX_MESSAGE_CHARS],
            "details": self.details[-MAX_DETAILS_CHARS:],
            "methods": sorted(self.methods),
        }
        if self.signatures and len(self.signatures) <= MAX_SIGNATURES_CHARS:
            fields["signatures"] = self.signatures
        return json.dumps(fields).encode()

    @classmethod
    def decode(cls, payload: bytes) -> State:
        """Read a STATE; what a worker says is checked and cut. Raises `InternalError` where it is none."""
        fields = _read_object(payload)
        state = _text(fields, "state")
        if state not in STATES:
            raise InternalError(f"a worker's state is one of {', '.join(STATES)}, not {state[:40]!r}")
        methods = fields.get("methods")
        signatures = _text(fields, "signatures")
        named = {one for one in methods if isinstance(one, str)} if isinstance(methods, list) else set()
        return cls(
            state=state,
            message=_text(fields, "message")[:MAX_MESSAGE_CHARS],
            details=_text(fields, "details")[-MAX_DETAILS_CHARS:],
            methods=METHODS & named,
            signatures=signatures if len(signatures) <= MAX_SIGNATURES_CHARS else "",
        )


def _read_object(payload: bytes) -> dict[str, object]:
    try:
        fields = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise InternalError(f"a worker sent what is not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise InternalError("a worker sent JSON that is not an object")
    return fields


def _text(fields: dict[str, object], name: str) -> str:
    value = fields.get(name, "")
    return value if isinstance(value, str) else ""
