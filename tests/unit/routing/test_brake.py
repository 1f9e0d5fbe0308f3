from __future__ import annotations

from heapq import heappop, heappush

import pytest

from modelyard.server.routing.brake import FREE, GAP_S, KEPT_S, PAUSE_S, SPREAD_S, Brake


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_refusals_are_told_at_once_until_they_are_a_storm() -> None:
    clock = Clock()
    brake = Brake(clock=clock)
    assert {brake.count("a") for _ in range(FREE)} == {0.0}
    assert brake.count("a") == PAUSE_S
    assert brake.count("b") == 0.0
    clock.now = KEPT_S
    assert brake.count("a") == 0.0


def test_refusals_of_a_storm_are_told_one_after_the_other() -> None:
    brake = Brake(clock=Clock())
    pauses = [brake.count("a") for _ in range(FREE + 10)][FREE:]
    assert pauses == pytest.approx([PAUSE_S + GAP_S * number for number in range(10)])


def test_who_comes_again_at_once_is_told_evenly() -> None:
    clock = Clock()
    brake = Brake(clock=clock)
    clients, told = [0.0] * 64, []
    while clock.now < 5:
        clock.now = heappop(clients)
        heappush(clients, clock.now + brake.count("a"))
        told.append(clock.now)
    assert told[2000] < 5, "so many came"
    for since in (when for when in told if when > 2):
        assert sum(since <= when < since + 0.02 for when in told) <= 0.02 / GAP_S + 3


def test_a_storm_beyond_all_is_told_in_time() -> None:
    brake = Brake(clock=Clock())
    assert max(brake.count("a") for _ in range(10_000)) <= PAUSE_S + SPREAD_S


def test_who_is_refused_no_more_is_forgotten() -> None:
    clock = Clock()
    brake = Brake(clock=clock)
    for number in range(100):
        brake.count(str(number))
    clock.now = 2 * KEPT_S
    brake.count("a")
    assert len(brake._callers) == 1
