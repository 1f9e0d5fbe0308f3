"""Rounds: every contestant once a round, forwards and backwards in turn; the median over rounds is what counts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from beside import asking, h2load, process
from beside.field import Entry, Field
from beside.h2load import Load, Outcome
from beside.payload import Payload
from beside.speed import Speed

WARM_UP_S = 0.25
SETTLE_S, SETTLE_TIMEOUT_S = 0.1, 4.0
IDLE_SHARE = 0.2
"""Of the core: below, a server is idle. The clock of processes ticks every 10 ms."""
OUTSIDE_LIMIT, SLOW_LIMIT, TRIES = 0.15, 1.4, 2
"""Of a core: what neither servers nor load used; and how many times as long as usual the same work took on the slower
core before or behind it. More of either, and the measurement is made again."""
WRONG_SHARE = 0.02
"""Answers whose mean size differs by more than this from the checked one are not all right."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One measurement that each round makes."""

    entry: Entry
    payload: Payload
    load: Load
    items: int = 1
    """Messages in an answer of a stream; 1 counts requests."""
    label: Mapping[str, Any] = field(default_factory=dict)
    """What else tells this case from others."""

    @property
    def key(self) -> Mapping[str, Any]:
        return {
            "server": self.entry.server,
            "protocol": self.entry.protocol,
            "clients": self.load.connections * self.load.streams,
            "connections": self.load.connections,
            **self.label,
        }


def measure(cases: Sequence[Case], contestants: Field, rounds: int, speed: Speed) -> list[dict[str, Any]]:
    """A row for each case: medians over rounds, and what each round saw."""
    seen: list[list[dict[str, float]]] = [[] for _ in cases]
    sizes = [_find_size(case, contestants) for case in cases]
    for number in range(rounds):
        order = range(len(cases)) if number % 2 == 0 else reversed(range(len(cases)))
        for index in order:
            with contestants.turn_of(cases[index].entry.server):
                seen[index].append(_measure_once(cases[index], sizes[index], contestants, speed))
            _tell(number, cases[index], seen[index][-1])
    return [{**case.key, **summarize(values)} for case, values in zip(cases, seen, strict=True)]


def _find_size(case: Case, contestants: Field) -> int:
    with contestants.turn_of(case.entry.server):
        return asking.ask(case.entry.ask(case.payload), case.entry.port)


def _measure_once(case: Case, size_bytes: int, contestants: Field, speed: Speed) -> dict[str, float]:
    """One measurement; once more where others took their part of the two cores: processes of strangers, or other guests
    of the host."""
    tries: list[dict[str, float]] = []
    while len(tries) < TRIES and (not tries or _find_trouble(tries[-1]) > 1):
        slow = speed.look()
        values = _try_once(case, size_bytes, contestants)
        tries.append({**values, "slow": max(slow, speed.look())})
    return min(tries, key=_find_trouble)


def _find_trouble(values: Mapping[str, float]) -> float:
    """How much a measurement was disturbed; up to 1 it counts."""
    return max(values["outside"] / OUTSIDE_LIMIT, values["slow"] / SLOW_LIMIT)


def _try_once(case: Case, size_bytes: int, contestants: Field) -> dict[str, float]:
    endpoint = case.entry.ask(case.payload)
    warm = Load(connections=case.load.connections, streams=case.load.streams, seconds=WARM_UP_S)
    h2load.run(endpoint, case.entry.port, warm)
    settle(case.entry.pid)
    busy, all_s = process.sum_busy_s(), contestants.sum_cpu_s()
    others_s = contestants.sum_cpu_s(without=case.entry.server)
    outcome = h2load.run(endpoint, case.entry.port, case.load)
    busy, all_s = process.sum_busy_s() - busy, contestants.sum_cpu_s() - all_s
    others_s = contestants.sum_cpu_s(without=case.entry.server) - others_s
    settle(case.entry.pid)
    values = evaluate(outcome, size_bytes=size_bytes, items=case.items)
    outside_s = max(0.0, busy - all_s - outcome.cpu_s)
    return values | {"other_contestants": others_s / outcome.seconds, "outside": outside_s / outcome.seconds}


def settle(pid: int) -> None:
    """Wait until the server is done with requests whose client has gone: some servers finish what nobody reads."""
    end = time.monotonic() + SETTLE_TIMEOUT_S
    while time.monotonic() < end:
        before = process.sum_cpu_s([pid])
        time.sleep(SETTLE_S)
        if process.sum_cpu_s([pid]) - before <= IDLE_SHARE * SETTLE_S:
            return


def evaluate(outcome: Outcome, *, size_bytes: int, items: int = 1) -> dict[str, float]:
    """What one measurement says. A stream's messages are counted by their bytes, which include unfinished answers."""
    done = outcome.succeeded if items == 1 else outcome.data_bytes / size_bytes * items
    times = sorted(outcome.latencies_ms)
    wrong = 0
    if items == 1 and outcome.succeeded and size_bytes < 1e5:
        mean = outcome.data_bytes / outcome.succeeded
        wrong = outcome.succeeded if mean < size_bytes * (1 - WRONG_SHARE) else 0
    return {
        "per_s": done / outcome.seconds,
        "p50_ms": find_percentile(times, 0.5),
        "p99_ms": find_percentile(times, 0.99),
        "failed": outcome.failed + wrong,
        "load_core": outcome.cpu_s / outcome.seconds,
    }


def find_percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that this share of all values does not exceed; 0 of none."""
    return ordered[max(0, min(len(ordered) - 1, int(len(ordered) * share)))] if ordered else 0.0


def summarize(values: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Medians; failures are summed, and the shares of cores are the largest of any round."""
    row: dict[str, Any] = {name: _round(statistics.median(one[name] for one in values)) for name in values[0]}
    row["failed"] = int(sum(one["failed"] for one in values))
    for name in ("load_core", "other_contestants", "outside", "slow"):
        row[name] = _round(max(one.get(name, 0.0) for one in values))
    row["rounds_per_s"] = [_round(one["per_s"]) for one in values]
    return row


def _round(value: float) -> float:
    """Four digits are more than a measurement has."""
    return float(f"{value:.4g}")


def _tell(number: int, case: Case, values: Mapping[str, float]) -> None:
    name = f"{case.entry.server} {case.entry.protocol}"
    load = f"{case.load.connections}x{case.load.streams}"
    shares = [
        f"{word} {values[key]:4.0%}"
        for word, key in (("load core", "load_core"), ("others", "other_contestants"), ("outside", "outside"))
    ]
    shares.append(f"slow {values['slow']:.2f}")
    failed = [f"{values['failed']:.0f} FAILED"] if values["failed"] else []
    rate = f"{values['per_s']:9.0f}/s  p50 {values['p50_ms']:8.2f} ms  p99 {values['p99_ms']:8.2f} ms"
    print("  ".join([f"round {number + 1}", f"{name:24} {load:6} {rate}", *shares, *failed]), flush=True)
