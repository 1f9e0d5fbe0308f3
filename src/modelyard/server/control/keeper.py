"""Keeps one wanted version running: starts its replica, watches it, and starts it again with back-off.

start ── loading ── loaded ── warm-up ── ready ──┬── crashed ── back-off ── start ...
             │                   │               ├── SIGTERM from outside ── drain ── stop ── start ...
             │                   │               └── not wanted any more ── drain ── stop
             └── failed          └── no answer
                   └───────────────────┴── verdict (first time: the version's build has failed)
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from modelyard.config.load import load_config
from modelyard.config.quantities import parse_memory_bytes
from modelyard.config.schema import NO_BATCHING, BatchingInfo
from modelyard.errors import InternalError, InvalidRequest, ModelBusy, ModelyardError
from modelyard.parts.assemble import assemble
from modelyard.parts.depot import Depot
from modelyard.parts.environment import Environments
from modelyard.parts.folder import CONFIG
from modelyard.server import failpoints
from modelyard.server.backends.base import Backend, Replica, ReplicaSpec, WorkerState, WorkerStatus
from modelyard.server.control.accelerators import AcceleratorPool
from modelyard.server.control.verdicts import Verdicts
from modelyard.server.control.warm_up import LIMIT_S, WarmedUp, make_payload, warm_up
from modelyard.server.records import LogType, Version, VersionState, WarmUp
from modelyard.server.routing.router import Router
from modelyard.server.threads import finish, in_thread
from modelyard.wire.messages import ModelVersion
from modelyard.wire.signatures import decode_signatures

BACK_OFF_S = (0.1, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
FIRST_LOAD_TRIES = 3
"""A first load that ends its process this often without a word has failed."""
ALL_TOLD_S = 0.1
"""Who stops a service sends SIGTERM to the server and to its workers at once, in any order: it is then no sign that one
worker is to be replaced."""
HEALTHY_S = 60.0
"""A replica that was ready this long has earned a fresh back-off."""
SLOTS_PER_THREAD = 2
"""Requests given to a worker at once for each of its threads: the next one waits there, not a round trip away."""
MAX_SLOTS = 4096
"""However large batches are: what a worker holds lies in memory."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Means:
    """What every keeper works with."""

    depot: Depot
    environments: Environments
    backend: Backend
    router: Router
    verdicts: Verdicts
    accelerators: AcceleratorPool
    write_line: Callable[[str, LogType, str], None]
    versions_dir: Path
    default_threads: int
    drain_s: float
    warm_up_s: float = LIMIT_S
    """How long a new version may take to answer the request that the server itself sends."""
    is_open: Callable[[], bool] = lambda: True
    """Does the server take new requests? False from its own SIGTERM on."""
    back_off_s: tuple[float, ...] = BACK_OFF_S
    """Seconds before each new replica; the last one again and again."""


class Keeper:
    """One wanted version."""

    def __init__(self, version: Version, means: Means, *, on_change: Callable[[], None] = lambda: None) -> None:
        self.version = version
        self.asked_bytes = read_asked_bytes(version)
        """What its `cpu_memory` asks for; 0 where it does not say."""
        self.replica: Replica | None = None
        """What runs now."""
        self._means = means
        self.ready_at: float | None = None
        """When a replica was last seen to become ready, `time.monotonic()`."""
        self.is_ready = False
        """Does it take requests?"""
        self.has_devices = False
        """Has it taken the accelerators that its version asks for?"""
        self._on_change = on_change
        self._failures = 0
        self._is_proven = version.state is VersionState.READY
        """Has a replica of this version answered before?"""
        self._is_refused = False
        """Has the version's first load failed for good? Then there is nothing more to keep."""
        self._task = asyncio.create_task(self._run(), name=f"keeper-{version.version_id}")

    async def stop(self) -> None:
        """Drain and stop the replica. Returns when its process is gone."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while not self._is_refused:
            if self._failures:
                await self._pause()
            started = time.monotonic()
            was_ready = False
            try:
                with self._devices() as (replica_id, accelerators):
                    spec = await in_thread(self._prepare, replica_id, accelerators)
                    async with self._running(spec) as replica:
                        was_ready = await self._watch(replica)
            except ModelyardError as error:
                is_final = self._failures + 1 >= len(self._means.back_off_s)
                await self._fail(str(error), error.details, is_final=is_final)
            except Exception:  # the boundary of a keeper: it must go on keeping
                log.exception("keeper.failed version=%s", self.version.version_id)
            if was_ready and time.monotonic() - started > HEALTHY_S:
                self._failures = 0
            self._failures += 1

    async def _pause(self) -> None:
        steps = self._means.back_off_s
        pause_s = steps[min(self._failures, len(steps)) - 1]
        self._say(f"Starting a new replica in {pause_s:g} s")
        await asyncio.sleep(pause_s)

    @contextmanager
    def _devices(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """A new replica's id, and the accelerators that are its own until it is gone."""
        pool, replica_id = self._means.accelerators, uuid.uuid4().hex[:12]
        count = pool.count_needed(self.version)
        taken = pool.take(replica_id, count)
        if taken is None:
            raise ModelBusy(f"the model asks for {count} accelerators, and {pool.free} are free")
        self.has_devices = True
        try:
            yield replica_id, taken
        finally:
            self.has_devices = False
            pool.give_back(replica_id)

    def _prepare(self, replica_id: str, accelerators: tuple[str, ...]) -> ReplicaSpec:
        """Put the three parts together; blocking, in a thread."""
        version, means = self.version, self._means
        environment = means.environments.get(version.environment_digest)
        if environment is None:
            raise InternalError(
                f"the environment {version.environment_digest[:12]} of this version is gone from the server's disk",
                hint="upload the model again",
            )
        folder = assemble(
            means.depot,
            code=version.code_digest,
            weights=version.weights_digest,
            dest=means.versions_dir / version.version_id,
        )
        spec = ModelVersion.FromString(version.spec)
        return ReplicaSpec(
            replica_id=replica_id,
            version_id=version.version_id,
            key=version.key,
            folder=folder,
            python=environment.python,
            threads=spec.num_threads or means.default_threads,
            memory_bytes=self.asked_bytes or None,
            accelerators=accelerators,
            batching=_read_batching(folder),
        )

    @asynccontextmanager
    async def _running(self, spec: ReplicaSpec) -> AsyncIterator[Replica]:
        means = self._means
        replica = self.replica = await means.backend.start(spec, self._say)
        try:
            yield replica
        finally:
            self.is_ready = False
            self.replica = None
            # Not wanted any more, while it is ending: its process must go all the same.
            await finish(asyncio.create_task(self._end(replica)))

    async def _end(self, replica: Replica) -> None:
        """Give the replica no more requests, let it finish those it holds, and stop it."""
        means, spec = self._means, replica.spec
        means.router.remove(spec.replica_id)
        try:
            async with asyncio.timeout(means.drain_s):
                await means.router.drained(spec.replica_id)
        except TimeoutError:
            log.warning("replica.cut version=%s replica=%s", spec.version_id, spec.replica_id)
        await replica.stop(grace_s=5.0)

    async def _watch(self, replica: Replica) -> bool:
        """Follow the worker until it is gone; did it ever become ready?"""
        was_ready = False
        failure: WorkerStatus | None = None
        async for status in replica.watch():
            match status.state:
                case WorkerState.READY:
                    warmed = await self._warm_up(replica, status)
                    if warmed is not None and await self._is_refused_for(warmed):
                        failure = status
                        if warmed.is_crash:
                            continue  # its end is still to come
                        return False
                    was_ready = True
                    await self._admit(replica, status, warmed.outcome if warmed else self.version.warm_up)
                case WorkerState.LEAVING:
                    await asyncio.sleep(ALL_TOLD_S)
                    if self._means.is_open():
                        self._say("Somebody sent the worker SIGTERM: it finishes what it holds, and another one starts")
                        return was_ready
                case WorkerState.FAILED:
                    failure = status
                    await self._fail(status.message, status.details, is_final=True)
                case WorkerState.EXITED:
                    self.is_ready = False
                    self._means.router.remove(replica.spec.replica_id)
                    if failure is None:
                        await self._report_exit(status, was_ready=was_ready)
                case _:
                    pass
        return was_ready

    async def _warm_up(self, replica: Replica, status: WorkerStatus) -> WarmedUp | None:
        """The first request of a new version; None where it needs none."""
        model = None if self._is_proven else await self._means.verdicts.get_model(self.version)
        if model is None:
            return None
        failpoints.hit("rollout.loaded")
        self._say("The model is loaded; asking it for a first answer")
        payload = make_payload(model, self.version, decode_signatures(status.signatures))
        began = time.monotonic()
        warmed = await warm_up(replica.link, status.methods, payload, limit_s=self._means.warm_up_s)
        if warmed.outcome is WarmUp.ANSWERED:
            self._say(f"The first answer took {time.monotonic() - began:.2f} s")
        failpoints.hit("rollout.answered")
        return warmed

    async def _is_refused_for(self, warmed: WarmedUp) -> bool:
        """Does the new version not answer, where the one that serves did? Then it gets no traffic."""
        if warmed.outcome is WarmUp.ANSWERED:
            return False
        serving = await self._means.verdicts.get_serving(self.version.key)
        if not warmed.is_refused(serving.warm_up if serving else WarmUp.NONE):
            if warmed.message:
                self._say(f"The first request, a sample of the server's, had no answer: {warmed.message}")
            return False
        is_final = not warmed.is_crash or self._failures + 1 >= FIRST_LOAD_TRIES
        message = f"the model loads, but does not answer its first request: {warmed.message}"
        await self._fail(message, warmed.details, is_final=is_final)
        return True

    async def _admit(self, replica: Replica, status: WorkerStatus, outcome: WarmUp) -> None:
        """From here on the replica gets requests, and its version is proven."""
        means, spec = self._means, replica.spec
        self.ready_at = time.monotonic()
        self._say(f"Replica {spec.replica_id} is ready: {', '.join(sorted(status.methods)) or 'no methods'}")
        slots, batch = count_slots(spec), spec.batching.max_size
        means.router.add(spec.replica_id, spec.version_id, replica.link, slots, status.methods, batch=batch)
        await means.verdicts.note_signatures(self.version, status.signatures)
        self.is_ready = True
        await means.verdicts.ready(spec.version_id, outcome)
        if not self._is_proven:
            failpoints.hit("rollout.switched")
        self._is_proven = True
        self._on_change()

    async def _report_exit(self, status: WorkerStatus, *, was_ready: bool) -> None:
        message = status.message or f"the worker's process ended with exit code {status.exit_code}"
        self._say(message)
        if not was_ready:
            is_final = self._failures + 1 >= FIRST_LOAD_TRIES
            await self._fail(f"{message} while it was loading the model", status.details, is_final=is_final)

    async def _fail(self, message: str, details: str, *, is_final: bool) -> None:
        version_id = self.version.version_id
        if await self._means.verdicts.failed(version_id, message, details, is_final=is_final):
            self._is_refused = True

    def _say(self, line: str) -> None:
        self._means.write_line(self.version.version_id, LogType.RUN, line)


def count_slots(spec: ReplicaSpec) -> int:
    """How many requests a replica may hold: those that it works on, and as many again that wait there. A batch has room
    for one request an input."""
    floor = SLOTS_PER_THREAD * spec.threads
    return min(floor * spec.batching.max_size, max(MAX_SLOTS, floor))


def _read_batching(folder: Path) -> BatchingInfo:
    """From the version's own config.yaml: the upload's message has no field for it. It was checked when it came; one of
    a release that allowed more is no reason not to start."""
    try:
        return load_config((folder / CONFIG).read_text(encoding="utf-8-sig")).config.batching
    except (OSError, ValueError, InvalidRequest):
        return NO_BATCHING


def read_asked_bytes(version: Version) -> int:
    """The memory that a version's config asks for."""
    memory = ModelVersion.FromString(version.spec).inference_compute_info.cpu_memory
    return parse_memory_bytes(memory) if memory else 0
