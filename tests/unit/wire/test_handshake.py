from __future__ import annotations

import json

import pytest

from modelyard.errors import InternalError
from modelyard.wire.frames import PROTOCOL
from modelyard.wire.handshake import MAX_MESSAGE_CHARS, MAX_SIGNATURES_CHARS, READY, Hello, State


def test_hello_survives_the_way_and_names_the_protocol() -> None:
    hello = Hello.decode(Hello(token="t", replica_id="r").encode())
    assert hello == Hello(token="t", replica_id="r", protocol=PROTOCOL)


def test_state_survives_the_way() -> None:
    state = State(state=READY, message="m", details="d", methods=frozenset({"predict"}), signatures="{}")
    assert State.decode(state.encode()) == state


def test_state_is_cut_and_unknown_methods_are_dropped() -> None:
    fields = {"state": READY, "message": "m" * 10_000, "methods": ["predict", "delete", 3]}
    state = State.decode(json.dumps(fields).encode())
    assert len(state.message) == MAX_MESSAGE_CHARS
    assert state.methods == {"predict"}


def test_signatures_that_are_too_large_are_left_out_by_both_sides() -> None:
    text = "x" * (MAX_SIGNATURES_CHARS + 1)
    assert State.decode(State(state=READY, signatures=text).encode()) == State(state=READY)
    assert State.decode(json.dumps({"state": READY, "signatures": text}).encode()) == State(state=READY)


@pytest.mark.parametrize("payload", [b"", b"\xff", b"[]", b"{}", b'{"state": "happy"}', b'{"state": 3}', b"[" * 9999])
def test_what_is_no_state_is_refused(payload: bytes) -> None:
    with pytest.raises(InternalError):
        State.decode(payload)


@pytest.mark.parametrize("payload", [b"", b"{}", b'{"protocol": "1"}', b"7"])
def test_what_is_no_hello_is_refused(payload: bytes) -> None:
    with pytest.raises(InternalError):
        Hello.decode(payload)
