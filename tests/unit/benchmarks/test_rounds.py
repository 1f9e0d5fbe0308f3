"""The statistics of a benchmark: medians over rounds, percentiles, and answers that are not what they should be."""

from __future__ import annotations

import pytest
from beside import rounds
from beside.h2load import Outcome
from beside.rounds import evaluate, find_percentile, summarize
from beside.speed import Speed


def make_outcome(**changes: object) -> Outcome:
    values: dict[str, object] = {
        "seconds": 2.0,
        "succeeded": 100,
        "failed": 0,
        "data_bytes": 12_300,
        "latencies_ms": [1.0, 3.0, 2.0],
        "cpu_s": 0.5,
    }
    return Outcome(**{**values, **changes})  # type: ignore[arg-type]


def test_a_rate_is_what_succeeded_in_a_second() -> None:
    values = evaluate(make_outcome(), size_bytes=123)
    assert (values["per_s"], values["p50_ms"], values["load_core"], values["failed"]) == (50.0, 2.0, 0.25, 0)


def test_answers_that_are_shorter_than_the_checked_one_count_as_failed() -> None:
    assert evaluate(make_outcome(data_bytes=4_000, failed=7), size_bytes=123)["failed"] == 107


def test_messages_of_streams_are_counted_by_bytes_so_that_unfinished_answers_count() -> None:
    values = evaluate(make_outcome(succeeded=1, data_bytes=25_000), size_bytes=10_000, items=1000)
    assert values["per_s"] == 1250
    assert values["failed"] == 0


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 51), (0.99, 100), (1.0, 100)])
def test_percentiles_are_values_that_were_seen(share: float, value: float) -> None:
    assert find_percentile(list(range(1, 101)), share) == value


def test_there_is_no_percentile_of_nothing() -> None:
    assert find_percentile([], 0.99) == 0


def test_a_row_has_medians_the_sum_of_failures_and_the_busiest_round() -> None:
    rounds = [
        {"per_s": rate, "p50_ms": 1.0, "failed": failed, "load_core": share, "other_contestants": 0.0}
        for rate, failed, share in ((100.0, 1, 0.2), (90.0, 0, 0.9), (5000.0, 2, 0.1))
    ]
    row = summarize(rounds)
    assert (row["per_s"], row["failed"], row["load_core"]) == (100.0, 3, 0.9)
    assert row["rounds_per_s"] == [100.0, 90.0, 5000.0]


def test_the_slower_core_is_compared_with_the_fastest_quarter_of_what_was_seen() -> None:
    took = iter([2.0, 3.0, 1.0, 1.0, 1.5, 1.0, 0.1, 1.0])
    speed = Speed((0, 1), lambda _: next(took))
    assert [speed.look() for _ in range(4)] == [1.5, 1.0, 1.5, 1.0]


@pytest.mark.parametrize(
    ("outside", "took", "chosen", "tries"),
    [([0.0], [1.0], 0, 1), ([0.5, 0.0], [1.0], 1, 2), ([0.0, 0.0], [1.0, 3.0, 1.5, 1.0], 1, 2)],
)
def test_a_measurement_that_others_disturbed_is_made_again(
    monkeypatch: pytest.MonkeyPatch, outside: list[float], took: list[float], chosen: int, tries: int
) -> None:
    made: list[float] = []

    def measure(*_: object) -> dict[str, float]:
        made.append(outside[len(made)])
        return {"outside": made[-1], "number": len(made) - 1}

    times = iter(took)
    monkeypatch.setattr(rounds, "_try_once", measure)
    speed = Speed((0,), lambda _: next(times, took[-1]))
    values = rounds._measure_once(None, 0, None, speed)  # type: ignore[arg-type]
    assert (values["number"], len(made)) == (chosen, tries)
