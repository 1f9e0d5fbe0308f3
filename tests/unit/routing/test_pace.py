from __future__ import annotations

import pytest

from modelyard.server.routing.pace import EVIDENCE, Pace


def make_pace(*seconds: float) -> Pace:
    pace = Pace()
    for one in seconds:
        pace.add(one)
    return pace


def test_nothing_is_claimed_without_evidence() -> None:
    assert Pace().estimate_s(10, 1) == 0
    assert make_pace(*[1.0] * (EVIDENCE - 1)).estimate_least_s(10, 1) == 0


def test_steady_work_is_estimated_by_turns_and_slots() -> None:
    pace = make_pace(*[0.5] * 30)
    assert pace.estimate_s(8, 4) == pytest.approx(1.0)
    assert pace.estimate_least_s(8, 4) == pytest.approx(1.0, rel=0.01)


def test_work_that_differs_widely_promises_nothing() -> None:
    pace = make_pace(*[0.01, 2.0] * 20)
    assert pace.estimate_least_s(1000, 1) == 0
    assert pace.estimate_s(1000, 1) > 100


def test_what_was_slow_once_is_forgotten() -> None:
    pace = make_pace(60.0, *[0.1] * 60)
    assert pace.estimate_s(10, 1) == pytest.approx(1.0, rel=0.2)
