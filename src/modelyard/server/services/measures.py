"""Everything that `GET /metrics` shows: what was counted, and what replicas and processes say when they are asked."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelyard.errors import ModelyardError
from modelyard.server.backends.base import Link
from modelyard.server.routing.router import Router
from modelyard.server.store.base import Store
from modelyard.server.telemetry.exposition import render
from modelyard.server.telemetry.series import Counters, Family, Gauges, Histogram, Histograms
from modelyard.server.telemetry.telemetry import Telemetry, VersionMeter
from modelyard.wire.stats import COUNTS, Stats

ANSWER_S = 1.0
"""How long a worker may think about its numbers."""
MAX_NAMES = 10_000
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Process:
    """A replica's process."""

    version_id: str
    state: str
    """`starting`, `loading`, `ready`, `failed`."""
    pid: int | None


class Measures:
    """Reads all numbers. `processes` lists the replicas of this machine."""

    def __init__(
        self, telemetry: Telemetry, router: Router, store: Store, processes: Callable[[], Sequence[Process]]
    ) -> None:
        self._telemetry = telemetry
        self._router = router
        self._store = store
        self._processes = processes
        self._names: dict[str, str] = {}

    async def write(self) -> bytes:
        """The page, in Prometheus' text format."""
        await self._ask_workers()
        processes = self._processes()
        meters = list(self._telemetry.list_meters())
        held = self._router.list_held()
        asked = {one for one, _ in meters} | {one for one, _, _ in held} | {one.version_id for one in processes}
        await self._learn_names(asked)
        return render(
            [
                *self._telemetry.list_families(),
                *self._sum_up(meters),
                *self._gauge(held, processes),
            ]
        )

    async def _ask_workers(self) -> None:
        """What each replica has counted since the last time. One that does not answer soon is left out."""
        links = self._router.list_links()
        await asyncio.gather(*(self._ask(*one) for one in links))
        for _, meter in self._telemetry.list_meters():
            meter.forget_all_but({replica_id for replica_id, _, _ in links})

    async def _ask(self, replica_id: str, version_id: str, link: Link) -> None:
        try:
            async with asyncio.timeout(ANSWER_S):
                stats = Stats.decode(await link.stats())
        except TimeoutError:
            log.info("metrics.silent replica=%s", replica_id)
        except ModelyardError as error:
            log.info("metrics.refused replica=%s reason=%r", replica_id, error.message)
        else:
            self._telemetry.meter_of(version_id).take(replica_id, stats)

    async def _learn_names(self, version_ids: Iterable[str]) -> None:
        """Which model each version is of; a deleted one keeps the name that it had."""
        if len(self._names) > MAX_NAMES:
            self._names.clear()
        for version_id in version_ids:
            if version_id not in self._names:
                version = await self._store.versions.get_by_id(version_id) if version_id else None
                self._names[version_id] = str(version.key) if version else "other"

    def _sum_up(self, meters: Sequence[tuple[str, VersionMeter]]) -> list[Family]:
        """Measured by version, shown by model."""
        queue_s = Histograms("modelyard_queue_seconds", "Waiting in the gateway for a replica.", ("model",))
        held_s = Histograms("modelyard_replica_seconds", "At a replica: its own line, and the model.", ("model",))
        wait_s = Histograms("modelyard_worker_wait_seconds", "Waiting in the worker for predict.", ("model",))
        predict_s = Histograms("modelyard_inference_seconds", "One call of the author's predict.", ("model",))
        batch = Histograms("modelyard_batch_inputs", "Inputs in one call of predict.", ("model",), COUNTS)
        outputs = Counters("modelyard_outputs_total", "Outputs that models gave.", ("model",))
        tokens = Counters("modelyard_tokens_total", "Tokens, where a model's outputs tell them.", ("model", "kind"))
        for version_id, meter in meters:
            labels = (self._names[version_id],)
            _add(queue_s.of(labels), meter.wait_s)
            queue_s.of(labels).add((meter.straight,), 0.0)
            _add(held_s.of(labels), meter.held_s)
            _add(wait_s.of(labels), meter.of_worker["wait_s"])
            _add(predict_s.of(labels), meter.of_worker["predict_s"])
            _add(batch.of(labels), meter.of_worker["batch_inputs"])
            for name, count in meter.made.items():
                if name == "outputs":
                    outputs.add(labels, count)
                elif count:
                    tokens.add((*labels, name.removesuffix("_tokens")), count)
        return [queue_s, held_s, wait_s, predict_s, batch, outputs, tokens]

    def _gauge(self, held: Sequence[tuple[str, int, int]], processes: Sequence[Process]) -> list[Family]:
        in_flight, waiting = Counter[str](), Counter[str]()
        for version_id, holds, waits in held:
            in_flight[self._names[version_id]] += holds
            waiting[self._names[version_id]] += waits
        states = Counter((self._names[one.version_id], one.state) for one in processes)
        memory: dict[str, int] = defaultdict(int)
        for one in processes:
            memory[self._names[one.version_id]] += read_resident(one.pid)
        return [
            Gauges("modelyard_in_flight", "Requests and streams at replicas now.", ("model",), _by_name(in_flight)),
            Gauges("modelyard_waiting", "Requests that wait for a replica now.", ("model",), _by_name(waiting)),
            Gauges("modelyard_replicas", "Replicas by state.", ("model", "state"), states.items()),
            Gauges("modelyard_worker_memory_bytes", "Resident memory of replicas.", ("model",), _by_name(memory)),
            Gauges("process_resident_memory_bytes", "Of the gateway.", (), [((), read_resident(os.getpid()))]),
        ]


def read_resident(pid: int | None) -> int:
    """Resident memory of a process, in bytes; 0 where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return 0


def _by_name(numbers: dict[str, int]) -> Iterable[tuple[tuple[str], float]]:
    return [((name,), number) for name, number in numbers.items()]


def _add(to: Histogram, one: Histogram) -> None:
    to.add(one.counts, one.total)
