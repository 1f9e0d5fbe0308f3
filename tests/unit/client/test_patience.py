"""Connections that break are asked again; servers that are not there are not waited for."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from modelyard.client import patience
from modelyard.client.patience import insist
from modelyard.errors import InvalidRequest, Unavailable


@dataclass
class Reached:
    """What `insist` asks of a transport."""

    was_reached: bool


def failing(times: int, transport: Reached, *, is_cut: bool) -> tuple[list[int], object]:
    tries: list[int] = []

    def call() -> str:
        tries.append(len(tries))
        if len(tries) <= times:
            transport.was_reached |= is_cut
            raise Unavailable("no server answers")
        return "answer"

    return tries, call


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PAUSES_S", (0.001, 0.002))


def test_a_call_whose_connection_breaks_is_made_again() -> None:
    transport = Reached(was_reached=False)
    tries, call = failing(5, transport, is_cut=True)
    assert insist(transport, call) == "answer"  # type: ignore[arg-type, type-var]
    assert len(tries) == 6


def test_a_server_that_was_never_there_is_said_at_once() -> None:
    transport = Reached(was_reached=False)
    tries, call = failing(5, transport, is_cut=False)
    with pytest.raises(Unavailable):
        insist(transport, call)  # type: ignore[arg-type]
    assert len(tries) == 1


def test_a_server_that_answered_before_is_waited_for_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PATIENCE_S", 0.05)
    transport = Reached(was_reached=True)
    tries, call = failing(10**9, transport, is_cut=False)
    with pytest.raises(Unavailable):
        insist(transport, call)  # type: ignore[arg-type]
    assert len(tries) > 2


def test_what_the_server_refuses_is_told_at_once() -> None:
    def refuse() -> str:
        raise InvalidRequest("no")

    with pytest.raises(InvalidRequest):
        insist(Reached(was_reached=True), refuse)  # type: ignore[arg-type]
