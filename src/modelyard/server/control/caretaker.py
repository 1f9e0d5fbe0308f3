"""Keeps the depot small and sound: removes what nothing uses, reads everything through once a week, tells who has what.

What is used is what a version is made of, in whatever state it is, and what may become one: while something is uploaded
or built, nothing is removed that was added or decided on since it began. A replica needs nothing more: its folder has
links of its own, which outlive a deleted version until it stops.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from modelyard.errors import InternalError
from modelyard.parts.depot import Depot
from modelyard.parts.environment_sweep import sweep_environments
from modelyard.parts.files import Part
from modelyard.server import failpoints
from modelyard.server.records import VersionState
from modelyard.server.store.base import Store

ROUND_S = 3600.0
GRACE = timedelta(hours=1)
"""What was added or decided on so lately stays, whoever it was for."""
SLACK = timedelta(seconds=5)
"""The file system's clock ticks less often than ours."""
SCRUB_EVERY = timedelta(days=7)
NOTED_EVERY = 32
UNDER_WAY = frozenset({VersionState.UPLOADING, VersionState.UPLOADED, VersionState.BUILDING})

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Collected:
    """What a collection removed."""

    files: int
    size_bytes: int
    """Of these files."""
    environments: int


@dataclass(frozen=True, kw_only=True)
class Scrubbed:
    """What a scrub found."""

    files: int
    size_bytes: int
    damaged: tuple[str, ...]
    """Digests; the files are put aside."""


@dataclass(frozen=True, kw_only=True)
class UserUsage:
    """What one user has."""

    user_id: str
    versions: int
    size_bytes: int
    """Each content counted once."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What the depot has."""

    files: int
    size_bytes: int
    unused_files: int
    unused_bytes: int
    """Of no version; `collect` removes them when they are old enough."""
    users: tuple[UserUsage, ...]
    disk_free_bytes: int
    disk_bytes: int


class Caretaker:
    """Looks after one depot. Any number of them may: in the server, and on the command line beside it."""

    def __init__(
        self,
        *,
        store: Store,
        depot: Depot,
        environments: Path,
        clear_arrivals: Callable[[], None],
        grace: timedelta = GRACE,
    ) -> None:
        self._store = store
        self._environments = environments
        self._depot = depot
        self._clear_arrivals = clear_arrivals
        self._grace = grace
        self._note = depot.root / "scrub.json"

    async def run(self) -> None:
        """Collect every hour, scrub every week, until cancelled."""
        while True:
            await asyncio.sleep(ROUND_S)
            await asyncio.to_thread(self._clear_arrivals)
            found = await self.collect()
            log.info(
                "depot.collected files=%d bytes=%d environments=%d", found.files, found.size_bytes, found.environments
            )
            if await asyncio.to_thread(self._is_scrub_due):
                await self.scrub(is_gentle=True)

    async def collect(self, *, min_age: timedelta | None = None) -> Collected:
        """Remove what nothing uses and is older than `min_age`. Safe beside uploads, builds and replicas.

        Raises InternalError, and removes nothing, where a version's list of files cannot be read.
        """
        before = await self._find_limit(self._grace if min_age is None else min_age)
        rows = await self._store.versions.list_digests()
        live = await asyncio.to_thread(self._mark, rows)
        failpoints.hit("gc.marked")
        swept = await asyncio.to_thread(self._depot.sweep, live, before=before.timestamp())
        failpoints.hit("gc.removed")
        installed = {environment for _, _, environment, _ in rows}
        removed = await asyncio.to_thread(sweep_environments, self._environments, installed, before=before.timestamp())
        return Collected(files=swept.files, size_bytes=swept.size_bytes, environments=removed)

    async def scrub(self, *, is_gentle: bool = False, on_file: Callable[[int], None] = lambda _: None) -> Scrubbed:
        """Read every file through; damaged ones are put aside, so that the next upload brings them again.

        Args:
            is_gentle: Go on where an earlier scrub was cut off, and rest as long as each file took.
            on_file: Told of each file's size when it was read.
        """
        contents = sorted(await asyncio.to_thread(lambda: list(self._depot.list_contents())))
        position = self._read_note().get("position", "") if is_gentle else ""
        damaged = []
        for number, content in enumerate(contents, 1):
            if content.digest <= position:
                continue
            began = time.monotonic()
            if not await asyncio.to_thread(self._depot.scrub, content.digest):
                log.error("depot.damaged digest=%s", content.digest)
                damaged.append(content.digest)
            on_file(content.size_bytes)
            if is_gentle:
                if number % NOTED_EVERY == 0:
                    self._write_note({**self._read_note(), "position": content.digest})
                await asyncio.sleep(time.monotonic() - began)
        self._write_note({"finished_at": datetime.now(UTC).isoformat()})
        log.info("depot.scrubbed files=%d damaged=%d", len(contents), len(damaged))
        size = sum(content.size_bytes for content in contents)
        return Scrubbed(files=len(contents), size_bytes=size, damaged=tuple(damaged))

    async def measure(self) -> Usage:
        """Who has how much, and what nobody has."""
        versions = await self._store.versions.list_in_states(frozenset(VersionState))
        live = await self._find_live()
        users = []
        for user_id in sorted({version.key.user_id for version in versions}):
            theirs = [version for version in versions if version.key.user_id == user_id]
            digests = {digest for one in theirs for digest in (one.code_digest, one.weights_digest) if digest}
            size = await asyncio.to_thread(self._sum_parts, digests)
            users.append(UserUsage(user_id=user_id, versions=len(theirs), size_bytes=size))
        contents = await asyncio.to_thread(lambda: list(self._depot.list_contents()))
        unused = [content for content in contents if content.digest not in live]
        disk = shutil.disk_usage(self._depot.root)
        return Usage(
            files=len(contents),
            size_bytes=sum(content.size_bytes for content in contents),
            unused_files=len(unused),
            unused_bytes=sum(content.size_bytes for content in unused),
            users=tuple(users),
            disk_free_bytes=disk.free,
            disk_bytes=disk.total,
        )

    async def _find_limit(self, min_age: timedelta) -> datetime:
        """What is younger stays. Read before the versions: what ends meanwhile is then among those."""
        under_way = await self._store.versions.list_in_states(UNDER_WAY)
        starts = [version.created_at for version in under_way]
        limit = datetime.now(UTC) - min_age
        return min([limit, *(start - SLACK for start in starts)])

    async def _find_live(self) -> set[str]:
        """Every digest that a version stands on."""
        rows = await self._store.versions.list_digests()
        return await asyncio.to_thread(self._mark, rows)

    def _mark(self, rows: Sequence[tuple[str, str, str, str]]) -> set[str]:
        live: set[str] = {manifest for *_, manifest in rows if manifest}
        for digest in {digest for code, weights, *_ in rows for digest in (code, weights) if digest}:
            live.add(digest)
            live.update(entry.digest for entry in self._read_part(digest).files)
        return live

    def _read_part(self, digest: str) -> Part:
        try:
            return self._depot.get_part(digest)
        except InternalError as error:
            raise InternalError(
                f"a version's list of files cannot be read, so nothing is removed: {error.message}",
                hint="upload that version again, or delete it",
            ) from error

    def _sum_parts(self, digests: set[str]) -> int:
        sizes: dict[str, int] = {}
        for digest in digests:
            sizes.update((entry.digest, entry.size_bytes) for entry in self._read_part(digest).files)
        return sum(sizes.values())

    def _is_scrub_due(self) -> bool:
        told = self._read_note().get("finished_at", "")
        if not told:
            # A new depot: its first week begins now.
            self._write_note({"finished_at": datetime.now(UTC).isoformat()})
            return False
        return datetime.now(UTC) - datetime.fromisoformat(told) > SCRUB_EVERY

    def _read_note(self) -> dict[str, str]:
        try:
            found = json.loads(self._note.read_text(encoding="utf-8"))
            datetime.fromisoformat(found.get("finished_at", "2000-01-01T00:00:00+00:00"))
            return {str(key): str(value) for key, value in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}

    def _write_note(self, content: dict[str, str]) -> None:
        temporary = Path(f"{self._note}.new")
        temporary.write_text(json.dumps(content), encoding="utf-8")
        temporary.replace(self._note)
