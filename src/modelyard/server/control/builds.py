"""Builds: leased jobs that turn an uploaded version into three parts and a manifest.

A job is QUEUED with the acknowledgement of the upload, in one transaction. Whoever takes it holds a lease and renews
it; after a crash the lease ends and the job is taken again, from the start: every step is idempotent.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from modelyard.config.load import load_config
from modelyard.errors import BuildFailed, Cancelled, ModelyardError
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
UNBUILT = frozenset({VersionState.UPLOADED, VersionState.BUILDING})
"""The states in which a version is a build's to change. From BUILT on it is the verdicts'."""

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

    async def recover(self) -> None:
        """At start-up: jobs that an earlier process held go back into the queue."""
        released = await self._store.builds.release(self._owner)
        if released:
            log.info("builds.requeued count=%d", released)

    async def run(self) -> None:
        """Take jobs until cancelled; what is being built then is stopped, and taken again after the next start."""
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
            stop = threading.Event()
            lease = asyncio.create_task(self._keep_lease(job, stop))
            try:
                await self._run_job(job, stop)
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

    async def _run_job(self, job: Build, stop: threading.Event) -> None:
        version = await self._store.versions.get_by_id(job.version_id)
        if version is None:
            return
        try:
            if version.state in UNBUILT:
                _check_attempts(job)
                version = await self._build(version, stop)
        except Cancelled:
            log.info("build.stopped version=%s", job.version_id)  # whoever holds the lease next begins again
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

    async def _build(self, version: Version, stop: threading.Event) -> Version:
        version = await self._move(version, VersionState.BUILDING, "resolving the environment")
        failpoints.hit("build.started")
        built = await self._in_thread(version, stop)
        version = replace(
            version,
            environment_digest=built.environment.digest,
            manifest_digest=await asyncio.to_thread(self._depot.add_bytes, built.manifest.to_json()),
        )
        failpoints.hit("build.before_done")
        return await self._move(version, VersionState.BUILT, "starting the first replica")

    async def _deploy(self, version: Version) -> None:
        """Ask for a first replica, unless an earlier attempt has."""
        if await self._store.deployments.get(version.version_id) is not None:
            return
        await self._store.deployments.put(
            Deployment(
                version_id=version.version_id, key=version.key, replicas=1, is_default=False, modified_at=self._now()
            )
        )

    async def _in_thread(self, version: Version, stop: threading.Event) -> Built:
        """Make the environment; when cancelled, stop that and wait for its end, for it still writes to the log."""
        work = asyncio.create_task(asyncio.to_thread(self._make_environment, version, stop))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            stop.set()
            await asyncio.wait({work})
            raise

    def _make_environment(self, version: Version, stop: threading.Event) -> Built:
        """Resolve and install; blocking, in a thread."""

        def write(line: str) -> None:
            self._write_line(version.version_id, LogType.BUILD, line)

        code = self._depot.get_part(version.code_digest)
        files = {entry.path: entry.digest for entry in code.files}
        config = load_config(self._depot.read(files["config.yaml"]).decode()).config
        requirements = self._depot.read(files["requirements.txt"]).decode()
        lock = self._environments.lock(requirements, config.python_version, write, stop=stop)
        failpoints.hit("build.locked")
        environment = self._environments.install(lock, write, stop=stop)
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
