"""What the house counts. One object for a server; whoever counts is handed it, or a part of it."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator

from modelyard.server.telemetry.series import LONG_SECONDS, Counters, Family, Histogram, Histograms
from modelyard.wire.stats import BOUNDS, MADE, SECONDS, Stats

MAX_VERSIONS = 1000
UPLOAD = "PostModelVersionsUpload"
GONE = "gone"
"""Instead of a code, where the caller left before there was one."""


class VersionMeter:
    """What is measured of one version; read by model."""

    __slots__ = ("_seen", "held_s", "made", "of_worker", "wait_s")

    def __init__(self) -> None:
        self.wait_s = Histogram(SECONDS)
        """In the gateway's line."""
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
    """All counters of a server."""

    def __init__(self) -> None:
        self.requests = Counters(
            "modelyard_requests_total", "Requests by V2 method and V2 status code.", ("method", "code")
        )
        self.request_s = Histograms(
            "modelyard_request_seconds", "From the request to the end of its answer.", ("method",)
        )
        self.model_requests = Counters(
            "modelyard_model_requests_total", "Requests of models by V2 status code.", ("model", "method", "code")
        )
        self.model_request_s = Histograms(
            "modelyard_model_request_seconds", "From a model's request to the end of its answer.", ("model", "method")
        )
        self.build_s = Histograms("modelyard_build_seconds", "Builds, by how they ended.", ("outcome",), LONG_SECONDS)
        self.upload_s = Histograms("modelyard_upload_seconds", "Uploads, by V2 status code.", ("code",), LONG_SECONDS)
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
        return [
            self.requests,
            self.request_s,
            self.model_requests,
            self.model_request_s,
            self.build_s,
            self.upload_s,
        ]


class Stopwatch:
    """One request at the choke point, from when it came."""

    __slots__ = ("_began", "_method", "_telemetry")

    def __init__(self, telemetry: Telemetry, method: str) -> None:
        self._telemetry = telemetry
        self._method = method
        self._began = time.perf_counter()

    def stop(self, code: str) -> None:
        """It is over, with this V2 code, or `gone` where its caller did not wait for the answer."""
        telemetry, method = self._telemetry, self._method
        took_s = time.perf_counter() - self._began
        telemetry.requests.add((method, code))
        telemetry.request_s.of((method,)).observe(took_s)
        if method == UPLOAD:
            telemetry.upload_s.of((code,)).observe(took_s)

    def stop_at_model(self, model: str, code: str) -> None:
        """The same of a request of a model."""
        took_s = time.perf_counter() - self._began
        self._telemetry.model_requests.add((model, self._method, code))
        self._telemetry.model_request_s.of((model, self._method)).observe(took_s)


def peek_code(reply: bytes) -> int:
    """The V2 status code of a serialised answer, which passes unread: its status is its first field, and the code the
    first of the status. 0 where it is written otherwise."""
    if len(reply) < 4 or reply[0] != 0x0A:
        return 0
    place = 1
    while place < 6 and reply[place] & 0x80:
        place += 1
    place += 1
    if reply[place : place + 1] != b"\x08":
        return 0
    value = shift = 0
    for byte in reply[place + 1 : place + 6]:
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
        shift += 7
    return 0
