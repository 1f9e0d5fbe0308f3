"""Uploads: from a stream of parts to an acknowledged version whose build is queued.

first message ── parts to disk ── fsync ── unpack and check ── depot ── acknowledge (one transaction) ── answer
      └─────────────┴─────────────────────────┴───────────────────── UPLOAD_FAILED, with the reason

Nothing is answered as accepted before it is committed; whatever ends earlier leaves a version that says why.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path

from modelyard.errors import UploadIncomplete
from modelyard.parts.depot import Depot
from modelyard.server import failpoints
from modelyard.server.records import Version, VersionState
from modelyard.server.services.belongings import Belonging, Belongings
from modelyard.server.services.intake import TakenIn, take_in
from modelyard.server.services.models import Models
from modelyard.server.services.upload_file import UploadFile, check_room
from modelyard.server.services.upload_rows import UploadRows
from modelyard.server.settings import UploadSettings
from modelyard.server.store.base import Store
from modelyard.server.threads import outlast, start_in_thread
from modelyard.wire.messages import ModelVersion

PROGRESS_S = 1.0


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
        rows: UploadRows,
        belongings: Belongings,
    ) -> None:
        self._store = store
        self._models = models
        self._depot = depot
        self._folder = folder
        self._settings = settings
        self._rows = rows
        self._belongings = belongings

    async def recover(self) -> None:
        """At start-up: uploads that a crash cut off have failed, and what they left on disk is removed."""
        for version in await self._store.versions.list_in_states(frozenset({VersionState.UPLOADING})):
            interrupted = UploadIncomplete("the server was restarted during the upload", hint="upload again")
            await self._rows.fail(version, interrupted)
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
        with self._rows.one_of_few(announcement.user_id):
            version = self._rows.make(model.key, announcement.spec)
            archive = UploadFile(self._folder / f"{version.version_id}.part", announcement.total_bytes)
            async with self._rows.telling(version):
                try:
                    async with aclosing(self._run(version, announcement, archive, parts)) as steps:
                        async for progress in steps:
                            yield progress
                finally:  # before the end is told: where the disk is full, the store needs the room
                    await asyncio.to_thread(archive.discard)
                    await asyncio.to_thread(_remove, self._staging(version))

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
        belonging = await self._belongings.of(announcement.user_id)
        work = start_in_thread(self._take_in, version, archive, belonging)
        try:
            while not (await asyncio.wait({work}, timeout=PROGRESS_S))[0]:
                yield _progress(version, archive, "Checking the archive")
        finally:
            await outlast(work)
        await self._rows.acknowledge(version, announcement.spec, work.result(), announcement.hub_token)
        yield _progress(version, archive, "Upload done; building", is_accepted=True)

    async def _next(self, parts: AsyncIterator[ContentPart]) -> ContentPart | None:
        idle_s = self._settings.idle_timeout_s
        try:
            async with asyncio.timeout(idle_s):
                return await anext(parts, None)
        except TimeoutError:
            raise UploadIncomplete(f"nothing came for {idle_s:g} seconds", hint="upload again") from None

    def _take_in(self, version: Version, archive: UploadFile, belonging: Belonging) -> TakenIn:
        def say(line: str) -> None:
            self._rows.say(version, line)

        say(f"Received {archive.total_bytes} bytes")
        return take_in(archive.path, self._staging(version), self._depot, belonging.check, say)

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
