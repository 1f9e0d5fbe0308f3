"""What the house counts. One object for a server; whoever counts is handed it, or a part of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from modelyard.server.telemetry.requests import Requests
from modelyard.server.telemetry.series import LONG_SECONDS, Family, Histogram, Histograms
from modelyard.server.telemetry.tracing import Tracing
from modelyard.wire.stats import BOUNDS, MADE, SECONDS, Stats

MAX_VERSIONS = 1000


class VersionMeter:
    """What is measured of one version; read by model."""

    __slots__ = ("_seen", "held_s", "made", "of_worker", "straight", "wait_s")

    def __init__(self) -> None:
        self.wait_s = Histogram(SECONDS)
        """In the gateway's line, of those who waited."""
        self.straight = 0
        """Those who did not."""
        self.held_s = Histogram(SECONDS)
        """At a replica: its own line, and the model."""
        self.of_worker = {name: Histogram(bounds) for name, bounds in BOUNDS.items()}
        """What its workers counted: see `wire/stats.py`."""
        self.made = dict.fromkeys(MADE, 0)
        self._seen: dict[str, Stats] = {}

    def take(self, replica_id: str, stats: Stats) -> None:
        """Add what a replica has counted since it was last asked. One that counts backwards has nothing new."""
        before = self._seen.get(replica_id, Stats())
        self._seen[replica_id] = stats
        for name, histogram in self.of_worker.items():
            grown = [now - then for now, then in zip(stats.counts[name], before.counts[name], strict=True)]
            if min(grown) >= 0:
                histogram.add(grown, max(stats.totals[name] - before.totals[name], 0.0))
        for name in MADE:
            self.made[name] += max(stats.made[name] - before.made[name], 0)

    def forget_all_but(self, replica_ids: Collection[str]) -> None:
        """Replicas that are gone will not be asked again."""
        self._seen = {one: stats for one, stats in self._seen.items() if one in replica_ids}


class Telemetry:
    """All counters of a server, and who traces requests, where somebody does."""

    def __init__(self, tracing: Tracing | None = None) -> None:
        self.tracing = tracing
        self.requests = Requests()
        self.build_s = Histograms("modelyard_build_seconds", "Builds, by how they ended.", ("outcome",), LONG_SECONDS)
        self._meters: dict[str, VersionMeter] = {}
        self._rest = VersionMeter()

    def meter_of(self, version_id: str) -> VersionMeter:
        """The meter of a version. Beyond a thousand versions all share one."""
        meter = self._meters.get(version_id)
        if meter is None:
            if len(self._meters) >= MAX_VERSIONS:
                return self._rest
            meter = self._meters[version_id] = VersionMeter()
        return meter

    def list_meters(self) -> Iterator[tuple[str, VersionMeter]]:
        """By version; that of all others has none."""
        yield from self._meters.items()
        if len(self._meters) >= MAX_VERSIONS:
            yield "", self._rest

    def list_families(self) -> list[Family]:
        """What is counted by itself, without asking anybody."""
        return [*self.requests.list_families(), self.build_s]
