"""Uploads: from a stream of parts to an acknowledged version whose build is queued.

first message ── parts to disk ── fsync ── unpack and check ── depot ── acknowledge (one transaction) ── answer
      └─────────────┴─────────────────────────┴───────────────────── UPLOAD_FAILED, with the reason

Nothing is answered as accepted before it is committed; whatever ends earlier leaves a version that says why.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from modelyard.errors import Cancelled, Conflict, InternalError, ModelyardError, UploadIncomplete
from modelyard.parts.depot import Depot
from modelyard.server import failpoints
from modelyard.server.records import Build, BuildState, LogType, ModelKey, Version, VersionState
from modelyard.server.sealing import Sealer
from modelyard.server.services.intake import TakenIn, complete_spec, take_in
from modelyard.server.services.models import Models
from modelyard.server.services.upload_file import UploadFile, check_room
from modelyard.server.services.versions import make_version_id, pack_spec
from modelyard.server.settings import UploadSettings
from modelyard.server.store.base import Store
from modelyard.wire.messages import ModelVersion

PROGRESS_S = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """The first message of an upload."""

    user_id: str
    app_id: str
    model_id: str
    spec: ModelVersion
    total_bytes: int
    hub_token: str = field(default="", repr=False)
    """A Hugging Face token for the version's checkpoints; one in config.yaml wins."""


@dataclass(frozen=True, kw_only=True)
class ContentPart:
    """A later message."""

    number: int
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far an upload is."""

    version_id: str
    percent: int
    message: str
    remaining_bytes: int
    is_accepted: bool = False
    """Set on the last one: the version is safe, and its build is queued."""


class Uploads:
    """Receives uploads."""

    def __init__(
        self,
        store: Store,
        models: Models,
        depot: Depot,
        folder: Path,
        *,
        settings: UploadSettings,
        sealer: Sealer,
        write_line: Callable[[str, LogType, str], None],
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._models = models
        self._depot = depot
        self._folder = folder
        self._settings = settings
        self._sealer = sealer
        self._write_line = write_line
        self._now = now
        self._running: Counter[str] = Counter()

    async def recover(self) -> None:
        """At start-up: uploads that a crash cut off have failed, and what they left on disk is removed."""
        for version in await self._store.versions.list_in_states(frozenset({VersionState.UPLOADING})):
            interrupted = UploadIncomplete("the server was restarted during the upload", hint="upload again")
            await self._fail(version, interrupted)
        for left in self._folder.iterdir():
            await asyncio.to_thread(_remove, left)

    async def receive(
        self, announcement: Announcement, parts: AsyncIterator[ContentPart]
    ) -> AsyncGenerator[Progress, None]:
        """Receive one upload; the last progress is the acceptance.

        Raises:
            ModelNotFound: the model must be there before its versions.
            InvalidRequest, UploadIncomplete, TooLarge: the stream is not what was announced.
            InvalidArchive, InvalidConfig, InvalidFolder: its content cannot be used.
            Conflict: the user has too many uploads running, or the version was deleted meanwhile.
        """
        model = await self._models.find(announcement.user_id, announcement.app_id, announcement.model_id)
        check_room(self._folder, announcement.total_bytes, limit_bytes=self._settings.max_size_bytes)
        with self._one_of_few(announcement.user_id):
            version = self._make_version(model.key, announcement)
            archive = UploadFile(self._folder / f"{version.version_id}.part", announcement.total_bytes)
            try:
                async with aclosing(self._run(version, announcement, archive, parts)) as steps:
                    async for progress in steps:
                        yield progress
            except (asyncio.CancelledError, GeneratorExit):
                left = Cancelled("the client went away during the upload", hint="upload again")
                await asyncio.shield(self._fail(version, left))
                raise
            except ModelyardError as error:
                await self._fail(version, error)
                raise
            except Exception as error:
                raise await self._fail_by_fault(version, error) from error
            finally:
                await asyncio.to_thread(archive.discard)
                await asyncio.to_thread(_remove, self._staging(version))

    def _make_version(self, key: ModelKey, announcement: Announcement) -> Version:
        at = self._now()
        return Version(
            version_id=make_version_id(),
            key=key,
            number=0,
            state=VersionState.UPLOADING,
            state_message="the archive is arriving",
            state_details="",
            spec=pack_spec(announcement.spec),
            code_digest="",
            weights_digest="",
            environment_digest="",
            manifest_digest="",
            size_bytes=0,
            created_at=at,
            modified_at=at,
        )

    async def _run(
        self, version: Version, announcement: Announcement, archive: UploadFile, parts: AsyncIterator[ContentPart]
    ) -> AsyncGenerator[Progress, None]:
        await self._store.versions.add(version)
        failpoints.hit("upload.first_message")
        yield _progress(version, archive, "Upload started")
        told_at = time.monotonic()
        while (part := await self._next(parts)) is not None:
            await archive.append(part.number, part.data)
            failpoints.hit("upload.part_written")
            if time.monotonic() - told_at > PROGRESS_S:
                told_at = time.monotonic()
                yield _progress(version, archive, "Upload in progress")
        await archive.finish()
        failpoints.hit("upload.after_fsync")
        yield _progress(version, archive, "Checking the archive")
        work = asyncio.create_task(asyncio.to_thread(self._take_in, version, archive))
        try:
            while not (await asyncio.wait({work}, timeout=PROGRESS_S))[0]:
                yield _progress(version, archive, "Checking the archive")
        finally:
            # A thread cannot be stopped: whoever cleans up after it waits for its end, its result wanted or not.
            await asyncio.wait({work})
            work.exception()
        await self._acknowledge(version, announcement, work.result())
        yield _progress(version, archive, "Upload done; building", is_accepted=True)

    async def _next(self, parts: AsyncIterator[ContentPart]) -> ContentPart | None:
        idle_s = self._settings.idle_timeout_s
        try:
            async with asyncio.timeout(idle_s):
                return await anext(parts, None)
        except TimeoutError:
            raise UploadIncomplete(f"nothing came for {idle_s:g} seconds", hint="upload again") from None

    def _take_in(self, version: Version, archive: UploadFile) -> TakenIn:
        def say(line: str) -> None:
            self._write_line(version.version_id, LogType.BUILD, line)

        say(f"Received {archive.total_bytes} bytes")
        return take_in(archive.path, self._staging(version), self._depot, say)

    async def _acknowledge(self, version: Version, announcement: Announcement, taken: TakenIn) -> None:
        configured = taken.checked.config.model.id
        if configured != version.key.model_id:
            note = f"warning: config.yaml names model {configured!r}; this is an upload to {version.key.model_id!r}"
            self._write_line(version.version_id, LogType.BUILD, note)
        at = self._now()
        uploaded = replace(
            version,
            state=VersionState.UPLOADED,
            state_message="waiting for a builder",
            spec=pack_spec(complete_spec(announcement.spec, taken.checked)),
            code_digest=taken.code_digest,
            weights_digest=taken.weights_digest,
            size_bytes=taken.size_bytes,
            modified_at=at,
        )
        build = Build(
            version_id=version.version_id,
            key=version.key,
            state=BuildState.QUEUED,
            attempt=0,
            lease_owner="",
            lease_until=None,
            created_at=at,
            sealed_token=self._seal_token(version, announcement, taken),
        )
        failpoints.hit("upload.before_ack")
        if not await self._store.versions.acknowledge_upload(uploaded, build):
            raise Conflict("the version was deleted while it was being uploaded")
        failpoints.hit("upload.after_ack")

    def _seal_token(self, version: Version, announcement: Announcement, taken: TakenIn) -> bytes:
        """The token that the build will need; none where it has nothing to fetch."""
        if taken.checked.config.checkpoints is None or taken.weights_digest:
            return b""
        return self._sealer.seal(taken.hub_token or announcement.hub_token, owner=version.version_id)

    async def _fail(self, version: Version, error: ModelyardError) -> None:
        failed = replace(
            version,
            state=VersionState.UPLOAD_FAILED,
            state_message=str(error),
            state_details=error.details,
            modified_at=self._now(),
            completed_at=self._now(),
        )
        if await self._store.versions.update(failed, expected=frozenset({VersionState.UPLOADING})):
            self._write_line(version.version_id, LogType.BUILD, f"Upload failed: {error}")

    async def _fail_by_fault(self, version: Version, error: Exception) -> InternalError:
        """Log a fault of ours, such as a full disk, and make the error that the client gets."""
        log.error("upload.crashed version=%s", version.version_id, exc_info=error)
        what = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        fault = InternalError(f"the server could not take the upload: {what}", hint="its log has more")
        await self._fail(version, fault)
        return fault

    @contextmanager
    def _one_of_few(self, user_id: str) -> Iterator[None]:
        limit = self._settings.concurrent_per_user
        if self._running[user_id] >= limit:
            raise Conflict(f"{limit} uploads of yours are running, the most that may", hint="wait until one has ended")
        self._running[user_id] += 1
        try:
            yield
        finally:
            self._running[user_id] -= 1

    def _staging(self, version: Version) -> Path:
        return self._folder / f"{version.version_id}.staging"


def _progress(version: Version, archive: UploadFile, message: str, *, is_accepted: bool = False) -> Progress:
    return Progress(
        version_id=version.version_id,
        percent=archive.percent,
        message=message,
        remaining_bytes=archive.total_bytes - archive.received_bytes,
        is_accepted=is_accepted,
    )


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
