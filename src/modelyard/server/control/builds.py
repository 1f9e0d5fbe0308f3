"""Builds: leased jobs that turn an uploaded version into three parts and a manifest.

A job is QUEUED with the acknowledgement of the upload, in one transaction. Whoever takes it holds a lease and renews
it; after a crash the lease ends and the job is taken again, from the start: every step is idempotent.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from modelyard.errors import BuildFailed, Cancelled, ModelyardError
from modelyard.parts.depot import Depot
from modelyard.parts.version_message import describe_source
from modelyard.server import failpoints
from modelyard.server.control.accelerators import AcceleratorPool
from modelyard.server.control.maker import Made, Maker
from modelyard.server.control.verdicts import STARTS
from modelyard.server.records import Build, Deployment, LogType, Version, VersionState
from modelyard.server.sealing import Sealer
from modelyard.server.store.base import Store
from modelyard.server.threads import outlast, start_in_thread
from modelyard.wire.messages import Concept, ModelVersion

LEASE = timedelta(seconds=60)
RENEW_S = 15.0
CONCURRENT_BUILDS = 2
MAX_ATTEMPTS = 5
"""A job that was taken this often without an end took its builder down each time."""
UNBUILT = frozenset({VersionState.UPLOADED, VersionState.BUILDING})
"""The states in which a version is a build's to change. From BUILT on it is the verdicts'."""

log = logging.getLogger(__name__)

LogLine = Callable[[str, LogType, str], None]
"""(version id, which log, one line); never blocks."""


class Builds:
    """The loops that take build jobs."""

    def __init__(
        self,
        *,
        store: Store,
        depot: Depot,
        maker: Maker,
        sealer: Sealer,
        accelerators: AcceleratorPool,
        hub_token: str = "",
        write_line: LogLine,
        now: Callable[[], datetime],
        owner: str,
        observe: Callable[[str, float], None] = lambda _outcome, _seconds: None,
    ) -> None:
        self._store = store
        self._depot = depot
        self._maker = maker
        self._sealer = sealer
        self._accelerators = accelerators
        self._hub_token = hub_token
        self._write_line = write_line
        self._now = now
        self._process = owner
        self._owner = owner
        self._runs = 0
        self._observe = observe

    async def recover(self) -> None:
        """Jobs that an earlier process, or an earlier run, held go back into the queue."""
        released = await self._store.builds.release(self._owner)
        if released:
            log.info("builds.requeued count=%d", released)

    async def run(self) -> None:
        """Take jobs until cancelled; what is being built then is stopped, and taken again after the next start.

        Nobody but this takes jobs, so what an earlier run holds still, which a fault ended while it took a job, goes
        back into the queue.
        """
        self._runs += 1
        self._owner = f"{self._process}.{self._runs}"
        await self.recover()
        async with asyncio.TaskGroup() as group:
            for _ in range(CONCURRENT_BUILDS):
                group.create_task(self._take_jobs())

    async def _take_jobs(self) -> None:
        waiter = self._store.watch()
        while True:
            now = self._now()
            job = await self._store.builds.take(self._owner, now, now + LEASE)
            if job is None:
                await waiter.wait(timeout_s=5.0)
                continue
            stop, began = threading.Event(), time.monotonic()
            lease = asyncio.create_task(self._keep_lease(job, stop))
            try:
                outcome = await self._run_job(job, stop)
                self._observe(outcome, time.monotonic() - began)
            finally:
                lease.cancel()
                await asyncio.wait({lease})

    async def _keep_lease(self, job: Build, stop: threading.Event) -> None:
        """Renew the lease until it is lost: the version was deleted, or someone else has the job."""
        is_ours = True
        while is_ours:
            await asyncio.sleep(RENEW_S)
            try:
                is_ours = await self._store.builds.extend(job.version_id, self._owner, self._now() + LEASE)
            except Exception:  # the store may be busy: there is time for more tries before the lease ends
                log.exception("build.lease version=%s", job.version_id)
        stop.set()

    async def _run_job(self, job: Build, stop: threading.Event) -> str:
        """Build and deploy; how it ended: `built`, `failed` or `stopped`."""
        version = await self._store.versions.get_by_id(job.version_id)
        if version is None:
            return "stopped"
        try:
            if version.state in UNBUILT:
                _check_attempts(job)
                version = await self._build(version, job, stop)
        except Cancelled:
            log.info("build.stopped version=%s", job.version_id)  # whoever holds the lease next begins again
            return "stopped"
        except ModelyardError as error:
            await self._fail(version, error)
        except Exception as error:  # the boundary of a job: logged, told to the author, never fatal
            log.exception("build.crashed version=%s", version.version_id)
            await self._fail(version, BuildFailed(f"the server could not build this version: {type(error).__name__}"))
        else:
            if version.state is VersionState.BUILT:
                await self._deploy(version)
            is_built = version.state is not VersionState.BUILD_FAILED
            await self._store.builds.finish(version.version_id, self._owner, succeeded=is_built)
            failpoints.hit("build.done")
            return "built" if is_built else "failed"
        return "failed"

    async def _build(self, version: Version, job: Build, stop: threading.Event) -> Version:
        if told := self._accelerators.check(version):
            self._write_line(version.version_id, LogType.BUILD, told)
        version = await self._move(version, VersionState.BUILDING, "resolving the environment")
        log.info("build.started version=%s", version.version_id)
        failpoints.hit("build.started")
        made = await self._in_thread(version, job, stop)
        size_bytes = version.size_bytes + (made.checkpoint.part.size_bytes if made.checkpoint else 0)
        version = replace(
            version,
            weights_digest=made.manifest.weights,
            environment_digest=made.manifest.environment,
            manifest_digest=await asyncio.to_thread(self._depot.add_bytes, made.manifest.to_json()),
            size_bytes=size_bytes,
        )
        await self._describe(version, made)
        failpoints.hit("build.before_done")
        return await self._move(version, VersionState.BUILT, STARTS)

    async def _describe(self, version: Version, made: Made) -> None:
        """Say on the version which commit its weights are of, and its labels. A client may have said more meanwhile."""
        current = await self._store.versions.get_by_id(version.version_id)
        if current is None or not (made.checkpoint or made.concepts):
            return
        spec = ModelVersion.FromString(current.spec)
        if made.checkpoint:
            spec.metadata.update({"checkpoints": describe_source(made.checkpoint)})
        if made.concepts and not spec.output_info.data.concepts:
            spec.output_info.data.concepts.extend(Concept(id=one.id, name=one.name) for one in made.concepts)
        await self._store.versions.set_spec(
            version.key, version.version_id, spec.SerializeToString(deterministic=True), self._now()
        )

    async def _deploy(self, version: Version) -> None:
        """Ask for a first replica, unless an earlier attempt has."""
        if await self._store.deployments.get(version.version_id) is not None:
            return
        await self._store.deployments.put(
            Deployment(
                version_id=version.version_id, key=version.key, replicas=1, is_default=False, modified_at=self._now()
            )
        )

    async def _in_thread(self, version: Version, job: Build, stop: threading.Event) -> Made:
        """Make the parts; when cancelled, stop that and wait for its end, for it still writes to the log."""

        def write(line: str) -> None:
            self._write_line(version.version_id, LogType.BUILD, line)

        hub_token = self._sealer.open(job.sealed_token, owner=version.version_id) or self._hub_token
        work = start_in_thread(self._maker.make, version, hub_token, write, stop)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            stop.set()
            await outlast(work)
            raise

    async def _move(self, version: Version, state: VersionState, message: str) -> Version:
        moved = replace(version, state=state, state_message=message, modified_at=self._now())
        if not await self._store.versions.update(moved, expected=UNBUILT):
            raise BuildFailed("the version was deleted, or has moved on, while it was being built")
        return moved

    async def _fail(self, version: Version, error: ModelyardError) -> None:
        for line in (*f"Build failed: {error}".splitlines(), *error.details.splitlines()):
            self._write_line(version.version_id, LogType.BUILD, line)
        failed = replace(
            version,
            state=VersionState.BUILD_FAILED,
            state_message=str(error),
            state_details=error.details,
            modified_at=self._now(),
            completed_at=self._now(),
        )
        await self._store.versions.update(failed, expected=UNBUILT)
        await self._store.builds.finish(version.version_id, self._owner, succeeded=False)


def _check_attempts(job: Build) -> None:
    if job.attempt > MAX_ATTEMPTS:
        raise BuildFailed(f"the build was started {MAX_ATTEMPTS} times and the server went down each time")
