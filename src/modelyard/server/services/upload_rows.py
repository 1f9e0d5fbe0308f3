"""The row of an upload, whichever way its files come: begun, acknowledged with its build, or failed with the reason."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from modelyard.errors import Cancelled, Conflict, InternalError, ModelyardError
from modelyard.server import failpoints
from modelyard.server.records import Build, BuildState, LogType, ModelKey, Version, VersionState
from modelyard.server.sealing import Sealer
from modelyard.server.services.intake import TakenIn, complete_spec
from modelyard.server.services.upload_file import explain_fault
from modelyard.server.services.versions import make_version, pack_spec
from modelyard.server.store.base import Store
from modelyard.wire.messages import ModelVersion

log = logging.getLogger(__name__)


class UploadRows:
    """Writes the rows."""

    def __init__(
        self,
        store: Store,
        folder: Path,
        *,
        concurrent_per_user: int,
        sealer: Sealer,
        write_line: Callable[[str, LogType, str], None],
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._folder = folder
        self._limit = concurrent_per_user
        self._sealer = sealer
        self._write_line = write_line
        self._now = now
        self._running: Counter[str] = Counter()

    def make(self, key: ModelKey, spec: ModelVersion, version_id: str = "") -> Version:
        """A version that is being uploaded; the caller adds it to the store."""
        version = make_version(key, pack_spec(spec), self._now(), version_id)
        return replace(version, state=VersionState.UPLOADING, state_message="the files are arriving")

    def say(self, version: Version, line: str) -> None:
        """A line of the version's build log."""
        self._write_line(version.version_id, LogType.BUILD, line)

    @contextmanager
    def one_of_few(self, user_id: str) -> Iterator[None]:
        """Count a user's uploads; raises Conflict where too many run."""
        if self._running[user_id] >= self._limit:
            raise Conflict(
                f"{self._limit} uploads of yours are running, the most that may", hint="wait until one has ended"
            )
        self._running[user_id] += 1
        try:
            yield
        finally:
            self._running[user_id] -= 1

    @asynccontextmanager
    async def telling(self, version: Version) -> AsyncIterator[None]:
        """Whatever ends the block early is told in the version's row: the client's leaving, an error, a fault."""
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            left = Cancelled("the client went away during the upload", hint="upload again")
            await asyncio.shield(self.fail(version, left))
            raise
        except ModelyardError as error:
            await self.fail(version, error)
            raise
        except Exception as error:
            raise await self._fail_by_fault(version, error) from error

    async def acknowledge(self, version: Version, spec: ModelVersion, taken: TakenIn, hub_token: str) -> None:
        """All of it is in the depot: the version is UPLOADED and its build queued, in one transaction."""
        configured = taken.checked.config.model.id
        if configured != version.key.model_id:
            named = f"config.yaml names model {configured!r}"
            self.say(version, f"warning: {named}; this is an upload to {version.key.model_id!r}")
        at = self._now()
        uploaded = replace(
            version,
            state=VersionState.UPLOADED,
            state_message="waiting for a builder",
            spec=pack_spec(complete_spec(spec, taken.checked)),
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
            sealed_token=self._seal_token(version, hub_token, taken),
        )
        failpoints.hit("upload.before_ack")
        if not await self._store.versions.acknowledge_upload(uploaded, build):
            raise Conflict("the version was deleted while it was being uploaded")
        failpoints.hit("upload.after_ack")

    async def fail(self, version: Version, error: ModelyardError) -> None:
        """The upload has ended without a version."""
        failed = replace(
            version,
            state=VersionState.UPLOAD_FAILED,
            state_message=str(error),
            state_details=error.details,
            modified_at=self._now(),
            completed_at=self._now(),
        )
        if await self._store.versions.update(failed, expected=frozenset({VersionState.UPLOADING})):
            self.say(version, f"Upload failed: {error}")

    def _seal_token(self, version: Version, hub_token: str, taken: TakenIn) -> bytes:
        """The token that the build will need; none where it has nothing to fetch."""
        if taken.checked.config.checkpoints is None or taken.weights_digest:
            return b""
        return self._sealer.seal(taken.hub_token or hub_token, owner=version.version_id)

    async def _fail_by_fault(self, version: Version, error: Exception) -> ModelyardError:
        """Log a fault of ours, such as a full disk, and make the error that the client gets."""
        log.error("upload.crashed version=%s", version.version_id, exc_info=error)
        fault: ModelyardError
        if isinstance(error, OSError):
            fault = explain_fault(error, self._folder)
        else:
            what = type(error).__name__
            fault = InternalError(f"the server could not take the upload: {what}", hint="its log has more")
        await self.fail(version, fault)
        return fault
