"""The blocking link against a worker that misbehaves: the other end of a socket pair."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from modelyard.errors import DeadlineExceeded, InternalError, WorkerCrashed
from modelyard.local.link import LocalLink
from modelyard.wire.frames import PROTOCOL, Kind, encode_frame
from modelyard.wire.handshake import Hello

TOKEN = "of-this-run"


@pytest.fixture
def ends() -> Iterator[tuple[LocalLink, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield LocalLink(ours, timeout_s=0.2), theirs


def test_a_worker_that_stops_reading_took_too_long_and_did_not_die(ends: tuple[LocalLink, socket.socket]) -> None:
    link, _ = ends
    with pytest.raises(DeadlineExceeded, match="took nothing"):
        link.ask("predict", bytes(8 << 20))


def test_a_worker_that_is_gone_died(ends: tuple[LocalLink, socket.socket]) -> None:
    link, worker = ends
    worker.close()
    with pytest.raises(WorkerCrashed):
        list(link.ask("predict", b""))


def test_the_worker_that_was_started_is_let_in(ends: tuple[LocalLink, socket.socket]) -> None:
    link, worker = ends
    worker.sendall(encode_frame(Kind.HELLO, 0, Hello(token=TOKEN, replica_id="local").encode()))
    link.greet(TOKEN)


@pytest.mark.parametrize(("token", "protocol"), [("another", PROTOCOL), (TOKEN, PROTOCOL + 1)])
def test_somebody_else_is_not(ends: tuple[LocalLink, socket.socket], token: str, protocol: int) -> None:
    link, worker = ends
    hello = Hello(token=token, replica_id="local", protocol=protocol)
    worker.sendall(encode_frame(Kind.HELLO, 0, hello.encode()))
    with pytest.raises(InternalError, match="somebody else"):
        link.greet(TOKEN)
