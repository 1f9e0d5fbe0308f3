"""Keeps one author's folder running from where it lies, and takes its edits.

edit ── worker says ──┬── same ───── nothing to do
                      ├── kept ───── it runs the new code already
                      ├── failed ─── the old code serves on
                      └── restart ── a new replica loads ──┬── ready: requests go to it, the old one drains and stops
config.yaml, requirements.txt ─────────┘                   └── failed: the old one serves on
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from modelyard.config.schema import NO_BATCHING, BatchingInfo
from modelyard.errors import ModelLoadFailed, ModelyardError, WorkerCrashed
from modelyard.parts.saves import FailedStart
from modelyard.server.backends.base import Backend, Replica, ReplicaSpec, WorkerState, WorkerStatus
from modelyard.server.control.keeper import BACK_OFF_S, HEALTHY_S, count_slots
from modelyard.server.records import ModelKey
from modelyard.server.routing.router import Router
from modelyard.wire.messages import ModelVersion
from modelyard.wire.reload import FAILED, RESTART, SAME, START_FILES, Reloaded, encode_paths
from modelyard.wire.signatures import decode_signatures

RELOAD_S = 30.0
"""How long a worker may think about an edit."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What a folder says now, its environment made."""

    key: ModelKey
    model_type_id: str
    spec: ModelVersion
    python: Path
    threads: int
    batching: BatchingInfo = NO_BATCHING


Prepare = Callable[[threading.Event], Prepared]
"""Checks the folder and makes its environment: blocking, ended by the event."""


class FolderEvents(Protocol):
    """Who looks on. None of these blocks."""

    def on_line(self, line: str) -> None:
        """The model printed a line."""
        ...

    def on_edit(self, paths: frozenset[str], told: Reloaded, elapsed_s: float) -> None:
        """The worker took an edit, or refused it; RESTART: a new one is being started."""
        ...

    def on_started(self, paths: frozenset[str], elapsed_s: float) -> None:
        """A new replica serves. No paths: the first one, or one after a crash."""
        ...

    def on_failed(self, error: ModelyardError, *, is_serving: bool) -> None:
        """A new replica could not be started; does the one before serve on?"""
        ...

    def on_crashed(self, message: str, details: str, pause_s: float) -> None:
        """The replica died; another follows after a pause."""
        ...


@dataclass(frozen=True, kw_only=True)
class FolderMeans:
    """What a host works with."""

    folder: Path
    version_id: str
    backend: Backend
    router: Router
    prepare: Prepare
    adopt: Callable[[Prepared], Awaitable[None]]
    """A replica of this is ready: let requests find it. Raises where it may not take the other's place."""
    events: FolderEvents
    drain_s: float
    back_off_s: tuple[float, ...] = BACK_OFF_S


class FolderHost:
    """One folder. `start` loads it, `run` follows edits and crashes until it is cancelled, `close` ends everything."""

    def __init__(self, means: FolderMeans) -> None:
        self._means = means
        self._active: Replica | None = None
        self._routed: tuple[str, frozenset[str]] | None = None
        self._pending: frozenset[str] = frozenset()
        """Edits that no worker which serves has taken."""
        self._candidate: Replica | None = None
        """What is being started."""
        self._fresh: frozenset[str] = frozenset()
        """Edits that came since, and that it was not asked about."""
        self._failed: FailedStart | None = None
        """The last start, where it failed."""
        self._wake = asyncio.Event()
        self._crashes = 0
        """In a row, since an edit or a healthy minute."""
        self._crash: WorkerStatus | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Load the model for the first time, anew for each edit that matters meanwhile. Raises what stands in the way,
        as it does for a test run."""
        began = time.monotonic()
        while not await self._load():
            self._wake.clear()
        self._means.events.on_started(frozenset(), time.monotonic() - began)

    def edit(self, paths: Iterable[str]) -> None:
        """Files changed. A replica that is being started is dropped for this, where it had read them already."""
        self._pending |= frozenset(paths)
        self._fresh |= frozenset(paths)
        if self._failed is not None and not self._failed.list_saved_since(paths):
            return
        self._crashes = 0
        self._wake.set()

    async def run(self) -> None:
        """Follow edits and crashes, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._crash is not None and not await self._is_time_to_start():
                continue
            await self._follow_edits(self._pending)

    async def close(self) -> None:
        """Stop the replica, and those that are on their way out. After `run` was cancelled."""
        active, self._active = self._active, None
        if active is not None:
            self._own(self._retire(active))
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _is_time_to_start(self) -> bool:
        """Wait a while after a crash; False where an edit came before, which is then followed at once."""
        crash, self._crash = self._crash, None
        assert crash is not None
        pause_s = self._means.back_off_s[min(self._crashes, len(self._means.back_off_s) - 1)]
        self._crashes += 1
        self._means.events.on_crashed(crash.message, crash.details, pause_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._wake.wait()
                return False
        return True

    async def _follow_edits(self, paths: frozenset[str]) -> None:
        began = time.monotonic()
        told = await self._ask_worker(paths)
        if paths:
            self._means.events.on_edit(paths, told, time.monotonic() - began)
        if told.outcome == RESTART:
            await self._try_load(began)
        elif told.outcome != FAILED:
            self._pending -= paths

    async def _try_load(self, began: float) -> None:
        paths = self._pending
        try:
            is_loaded = await self._load()
        except ModelyardError as error:
            self._means.events.on_failed(error, is_serving=self._active is not None)
            if not paths:
                self._crash = WorkerStatus(state=WorkerState.EXITED, message=error.message, details=error.details)
                self._wake.set()
            return
        if is_loaded:
            self._means.events.on_started(paths, time.monotonic() - began)

    async def _load(self) -> bool:
        """Start a new replica and let it take over; False where an edit came that it had read already."""
        self._failed = None
        attempt = FailedStart(folder=self._means.folder)
        switching = asyncio.create_task(self._switch())
        try:
            while not switching.done():
                if await self._is_outdated_before(switching):
                    self._wake.set()
                    return False
            switching.result()
            if self._pending:
                self._wake.set()
            return True
        except ModelyardError:
            self._fail(attempt)
            raise
        finally:
            switching.cancel()
            await asyncio.gather(switching, return_exceptions=True)
            self._candidate = None

    def _fail(self, attempt: FailedStart) -> None:
        """The next try is for an edit that came after this one began."""
        attempt.fail()
        self._failed = attempt
        self._wake.clear()
        if attempt.list_saved_since(self._fresh):
            self._wake.set()

    async def _is_outdated_before(self, switching: asyncio.Task[None]) -> bool:
        """Wait for the new replica or for an edit; is it an edit that asks for another start?"""
        waking = asyncio.create_task(self._wake.wait())
        try:
            await asyncio.wait({switching, waking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waking.cancel()
            await asyncio.gather(waking, return_exceptions=True)
        if switching.done():
            return False
        self._wake.clear()
        return await self._is_candidate_outdated()

    async def _is_candidate_outdated(self) -> bool:
        """Has what is being started read files that are others now?"""
        if self._fresh & START_FILES:
            return True
        if self._candidate is None or not self._candidate.link.is_open:
            return False
        paths, self._fresh = self._fresh, frozenset()
        return (await self._ask(self._candidate, paths)).outcome != SAME

    async def _ask_worker(self, paths: frozenset[str]) -> Reloaded:
        """What the running worker makes of the edits. It is not asked where it cannot take them."""
        active = self._active
        if active is None:
            return Reloaded(outcome=RESTART, message="no worker runs")
        if decisive := sorted(paths & START_FILES):
            return Reloaded(outcome=RESTART, message=f"{' and '.join(decisive)} changed")
        told = await self._ask(active, paths)
        if told.outcome != RESTART:
            self._route(active, told.methods)
        return told

    async def _ask(self, replica: Replica, paths: frozenset[str]) -> Reloaded:
        try:
            async with asyncio.timeout(RELOAD_S):
                return Reloaded.decode(await replica.link.reload(encode_paths(paths)))
        except TimeoutError:
            return Reloaded(outcome=RESTART, message=f"the worker did not answer for {RELOAD_S:g} s")
        except ModelyardError as error:
            return Reloaded(outcome=RESTART, message=error.message)

    async def _switch(self) -> None:
        """Start a new replica; once it is ready, requests go to it and the old one drains and stops."""
        self._fresh = frozenset()
        prepared = await self._prepare()
        replica = self._candidate = await self._means.backend.start(
            self._make_spec(prepared), self._means.events.on_line
        )
        try:
            statuses = replica.watch()
            ready = await _wait_ready(statuses)
            prepared.spec.method_signatures.extend(decode_signatures(ready.signatures))
            await self._means.adopt(prepared)
        except BaseException:
            await asyncio.shield(asyncio.ensure_future(replica.stop(grace_s=0.0)))
            raise
        self._pending = self._fresh
        before, self._active = self._active, replica
        self._route(replica, ready.methods)
        self._own(self._follow(replica, statuses))
        if before is not None:
            self._own(self._retire(before))

    async def _prepare(self) -> Prepared:
        stop = threading.Event()
        try:
            return await asyncio.to_thread(self._means.prepare, stop)
        finally:
            stop.set()

    def _make_spec(self, prepared: Prepared) -> ReplicaSpec:
        return ReplicaSpec(
            replica_id=uuid.uuid4().hex[:12],
            version_id=self._means.version_id,
            key=prepared.key,
            folder=self._means.folder,
            python=prepared.python,
            threads=prepared.threads,
            memory_bytes=None,
            batching=prepared.batching,
        )

    def _route(self, replica: Replica, methods: frozenset[str]) -> None:
        """Give the replica requests for these methods; nothing changes where it has them for the same ones."""
        spec, router = replica.spec, self._means.router
        if self._routed == (spec.replica_id, methods):
            return
        self._routed = (spec.replica_id, methods)
        slots, batch = count_slots(spec), spec.batching.max_size
        router.add(spec.replica_id, spec.version_id, replica.link, slots, methods, batch=batch)

    async def _retire(self, replica: Replica) -> None:
        """Let the old replica finish what it holds."""
        self._means.router.remove(replica.spec.replica_id)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._means.drain_s):
                await self._means.router.drained(replica.spec.replica_id)
        await replica.stop(grace_s=self._means.drain_s)

    async def _follow(self, replica: Replica, statuses: AsyncIterator[WorkerStatus]) -> None:
        """Watch the replica until it is gone; start another where nobody asked it to go."""
        ready_at = time.monotonic()
        async for status in statuses:
            if status.state is WorkerState.LEAVING:
                self._own(self._retire(replica))
            if status.state is not WorkerState.EXITED:
                continue
            self._means.router.remove(replica.spec.replica_id)
            if time.monotonic() - ready_at > HEALTHY_S:
                self._crashes = 0
            if replica is self._active:
                self._active, self._crash = None, status
                self._wake.set()

    def _own(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _wait_ready(statuses: AsyncIterator[WorkerStatus]) -> WorkerStatus:
    """Follow a worker until it is ready. Raises ModelLoadFailed or WorkerCrashed."""
    async for status in statuses:
        match status.state:
            case WorkerState.READY:
                return status
            case WorkerState.FAILED:
                raise ModelLoadFailed(status.message, details=status.details)
            case WorkerState.EXITED:
                raise WorkerCrashed(f"{status.message} while it was loading the model", details=status.details)
            case _:
                pass
    raise WorkerCrashed("the worker ended without a word")
