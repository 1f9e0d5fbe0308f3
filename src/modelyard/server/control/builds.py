"""Builds: leased jobs that turn an uploaded version into three parts and a manifest.

A job is QUEUED with the acknowledgement of the upload, in one transaction. Whoever takes it holds a lease and renews
it; after a crash the lease ends and the job is taken again, from the start: every step is idempotent.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from modelyard.config.load import load_config
from modelyard.errors import BuildFailed, ModelyardError
from modelyard.parts.depot import Depot
from modelyard.parts.environment import Environment, Environments
from modelyard.parts.manifest import Manifest
from modelyard.server import failpoints
from modelyard.server.records import Build, Deployment, LogType, Version, VersionState
from modelyard.server.store.base import Store

LEASE = timedelta(seconds=60)
RENEW_S = 15.0
CONCURRENT_BUILDS = 2
MAX_ATTEMPTS = 5
"""A job that was taken this often without an end took its builder down each time."""

log = logging.getLogger(__name__)

LogLine = Callable[[str, LogType, str], None]
"""(version id, which log, one line); never blocks."""


@dataclass(frozen=True, kw_only=True)
class Built:
    """What a build made."""

    environment: Environment
    manifest: Manifest


class Builds:
    """The loops that take build jobs."""

    def __init__(
        self,
        *,
        store: Store,
        depot: Depot,
        environments: Environments,
        write_line: LogLine,
        now: Callable[[], datetime],
        owner: str,
    ) -> None:
        self._store = store
        self._depot = depot
        self._environments = environments
        self._write_line = write_line
        self._now = now
        self._owner = owner
        self._stop = threading.Event()

    async def recover(self) -> None:
        """At start-up: jobs that an earlier process held go back into the queue."""
        released = await self._store.builds.release(self._owner)
        if released:
            log.info("builds.requeued count=%d", released)

    async def run(self) -> None:
        """Take jobs until cancelled; what is being built then is stopped, and taken again after the next start."""
        try:
            await asyncio.gather(*(self._take_jobs() for _ in range(CONCURRENT_BUILDS)))
        finally:
            self._stop.set()

    async def _take_jobs(self) -> None:
        waiter = self._store.watch()
        while True:
            now = self._now()
            job = await self._store.builds.take(self._owner, now, now + LEASE)
            if job is None:
                await waiter.wait(timeout_s=5.0)
                continue
            lease = asyncio.create_task(self._keep_lease(job))
            try:
                await self._run_job(job)
            finally:
                lease.cancel()
                with suppress(asyncio.CancelledError):
                    await lease

    async def _keep_lease(self, job: Build) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            await self._store.builds.extend(job.version_id, self._owner, self._now() + LEASE)

    async def _run_job(self, job: Build) -> None:
        version = await self._store.versions.get_by_id(job.version_id)
        if version is None:
            return
        try:
            if job.attempt > MAX_ATTEMPTS:
                raise BuildFailed(f"the build was started {MAX_ATTEMPTS} times and the server went down each time")
            version = await self._build(version)
        except ModelyardError as error:
            await self._fail(version, error)
        except Exception as error:  # the boundary of a job: logged, told to the author, never fatal
            log.exception("build.crashed version=%s", version.version_id)
            await self._fail(version, BuildFailed(f"the server could not build this version: {type(error).__name__}"))
        else:
            await self._store.builds.finish(version.version_id, self._owner, succeeded=True)
            failpoints.hit("build.done")

    async def _build(self, version: Version) -> Version:
        version = await self._move(version, VersionState.BUILDING, "resolving the environment")
        failpoints.hit("build.started")
        built = await asyncio.to_thread(self._make_environment, version)
        version = replace(
            version,
            environment_digest=built.environment.digest,
            manifest_digest=await asyncio.to_thread(self._depot.add_bytes, built.manifest.to_json()),
        )
        failpoints.hit("build.before_done")
        version = await self._move(version, VersionState.BUILT, "starting the first replica")
        await self._store.deployments.put(
            Deployment(
                version_id=version.version_id, key=version.key, replicas=1, is_default=False, modified_at=self._now()
            )
        )
        return version

    def _make_environment(self, version: Version) -> Built:
        """Resolve and install; blocking, in a thread."""

        def write(line: str) -> None:
            self._write_line(version.version_id, LogType.BUILD, line)

        code = self._depot.get_part(version.code_digest)
        files = {entry.path: entry.digest for entry in code.files}
        config = load_config(self._depot.read(files["config.yaml"]).decode()).config
        requirements = self._depot.read(files["requirements.txt"]).decode()
        lock = self._environments.lock(requirements, config.python_version, write, stop=self._stop)
        failpoints.hit("build.locked")
        environment = self._environments.install(lock, write, stop=self._stop)
        failpoints.hit("build.installed")
        return Built(
            environment=environment,
            manifest=Manifest(
                code=version.code_digest,
                weights=version.weights_digest,
                environment=environment.digest,
                model_type_id=config.model.model_type_id,
                python_version=lock.python_version,
            ),
        )

    async def _move(self, version: Version, state: VersionState, message: str) -> Version:
        moved = replace(version, state=state, state_message=message, modified_at=self._now())
        expected = frozenset({VersionState.UPLOADED, VersionState.BUILDING, VersionState.BUILT})
        if not await self._store.versions.update(moved, expected=expected):
            raise BuildFailed("the version was deleted, or has moved on, while it was being built")
        return moved

    async def _fail(self, version: Version, error: ModelyardError) -> None:
        if self._stop.is_set():
            return  # the server is going down: the job stays RUNNING, and is taken again after the next start
        for line in ("Build failed: " + str(error), *error.details.splitlines()):
            self._write_line(version.version_id, LogType.BUILD, line)
        failed = replace(
            version,
            state=VersionState.BUILD_FAILED,
            state_message=str(error),
            state_details=error.details,
            modified_at=self._now(),
            completed_at=self._now(),
        )
        await self._store.versions.update(failed)
        await self._store.builds.finish(version.version_id, self._owner, succeeded=False)
