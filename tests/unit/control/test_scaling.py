"""How many replicas, by what was seen: spikes start nothing, pauses stop nothing."""

from __future__ import annotations

import pytest

from modelyard.server.control.scaling import QUEUE_MOST_S, Bounds, Load, QueueTime, Scaler
from modelyard.server.routing.demand import Demand

BOUNDS = Bounds(min_replicas=1, max_replicas=4, idle_s=300.0)
TO_ZERO = Bounds(min_replicas=0, max_replicas=4, idle_s=30.0)


def load(
    in_flight: int = 0, waiting: int = 0, *, streams: int = 0, threads: int = 2, idle_s: float = 0.0, replicas: int = 4
) -> Load:
    demand = Demand(in_flight=in_flight, waiting=waiting, open_streams=streams, replicas=replicas)
    return Load(demand=demand, threads=threads, idle_s=idle_s)


class Watch:
    """A version under a fake clock, one look a second."""

    def __init__(self, bounds: Bounds = BOUNDS, wanted: int = 1) -> None:
        self.scaler = Scaler()
        self.bounds = bounds
        self.wanted = wanted
        self.at = 0.0

    def see(self, one: Load, seconds: int = 1) -> int:
        for _ in range(seconds):
            self.at += 1.0
            self.wanted = self.scaler.decide(self.at, self.wanted, self.bounds, one)
        return self.wanted


@pytest.mark.parametrize(
    ("in_flight", "waiting", "threads", "needed"),
    [(0, 0, 1, 0), (2, 0, 2, 1), (2, 1, 2, 2), (4, 9, 2, 7), (3, 0, 0, 3)],
)
def test_needed_is_what_would_leave_nobody_waiting(in_flight: int, waiting: int, threads: int, needed: int) -> None:
    assert load(in_flight, waiting, threads=threads).needed == needed


def test_requests_that_wait_for_long_enough_bring_replicas_at_once_as_many_as_needed() -> None:
    watch = Watch()
    assert watch.see(load(4, 2), 2) == 1
    assert watch.see(load(4, 2)) == 3


def test_a_spike_brings_none() -> None:
    watch = Watch()
    for _ in range(10):
        watch.see(load(4, 20))
        assert watch.see(load(1)) == 1


def test_there_are_never_more_than_allowed() -> None:
    assert Watch().see(load(4, 100), 10) == 4


def test_fewer_come_only_after_a_long_while_of_less() -> None:
    watch = Watch()
    assert watch.see(load(4, 4), 5) == 4
    assert watch.see(load(1), 59) == 4
    assert watch.see(load(1), 3) == 1


def test_a_peak_within_the_while_keeps_them() -> None:
    watch = Watch()
    watch.see(load(4, 4), 5)
    for _ in range(5):
        watch.see(load(6, 2))
        assert watch.see(load(1), 50) == 4


def test_between_more_and_fewer_the_number_stays() -> None:
    watch = Watch(wanted=3)
    for number in range(300):
        assert watch.see(load(6 if number % 10 == 0 else 3)) == 3


def test_the_least_is_kept_without_any_load() -> None:
    watch = Watch(Bounds(min_replicas=2, max_replicas=4, idle_s=1.0), wanted=0)
    assert watch.see(load(idle_s=1e6)) == 2
    assert watch.see(load(idle_s=1e6), 200) == 2


def test_a_version_that_nobody_asks_stops_after_its_idle_time() -> None:
    watch = Watch(TO_ZERO)
    assert watch.see(load(idle_s=29.0)) == 1
    assert watch.see(load(idle_s=31.0)) == 0
    assert watch.see(load(idle_s=32.0)) == 0, "and stays so until somebody asks"


@pytest.mark.parametrize("one", [load(1, idle_s=99.0), load(0, 1, idle_s=99.0), load(streams=1, idle_s=99.0)])
def test_a_version_in_use_never_stops(one: Load) -> None:
    assert Watch(TO_ZERO).see(one, 300) == 1


def bursts(watch: Watch, seconds: int, *, wait_s: float, replicas: int = 4, since: int = 0) -> int:
    """Ten requests a second, all at once and soon over: no look finds one, but each had waited so long."""
    for second in range(since + 1, since + seconds + 1):
        demand = Demand(replicas=replicas, served=10 * second, waited_s=10 * second * wait_s)
        watch.see(Load(demand=demand, threads=2, idle_s=0.0))
    return watch.wanted


def test_open_streams_bring_replicas_as_requests_do() -> None:
    watch = Watch()
    assert watch.see(load(streams=2), 300) == 1
    assert watch.see(load(1, streams=4), 3) == 3


def test_open_streams_keep_replicas() -> None:
    watch = Watch()
    assert watch.see(load(streams=8), 3) == 4
    assert watch.see(load(streams=8), 300) == 4
    assert watch.see(load(streams=3), 62) == 2


def test_requests_that_wait_long_in_bursts_bring_one_replica_at_a_time() -> None:
    watch = Watch()
    assert bursts(watch, 10, wait_s=0.4) == 1
    assert bursts(watch, 4, wait_s=0.4, since=10) == 2
    assert bursts(watch, 8, wait_s=0.4, since=14) == 2
    assert bursts(watch, 4, wait_s=0.4, since=22) == 3


def test_short_waits_bring_none() -> None:
    assert bursts(Watch(), 300, wait_s=0.15) == 1


def test_a_long_wait_brings_none_while_a_replica_that_is_wanted_still_loads() -> None:
    assert bursts(Watch(wanted=2), 300, wait_s=0.4, replicas=1) == 2


def test_none_go_while_requests_wait_at_times() -> None:
    watch = Watch(wanted=2)
    assert bursts(watch, 300, wait_s=0.1) == 2
    assert bursts(watch, 70, wait_s=0.0, since=300) == 1


def test_the_queue_time_is_that_of_the_one_who_waits_longest_where_nobody_is_served() -> None:
    queue = QueueTime()
    for second in range(10):
        seen_s = queue.see(float(second), Demand(waiting=1, oldest_s=float(second)))
    assert seen_s == pytest.approx(QUEUE_MOST_S, rel=0.05)


def test_the_queue_time_starts_anew_where_the_router_forgot_the_version() -> None:
    queue = QueueTime()
    queue.see(0.0, Demand(served=100, waited_s=100.0))
    assert queue.see(1.0, Demand(served=1, waited_s=0.0)) == 0.0
