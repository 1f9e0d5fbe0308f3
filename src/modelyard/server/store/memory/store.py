"""The store in memory: nothing is kept when its process ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from modelyard.server.records import LogLine, LogType, Page
from modelyard.server.store.changes import Waiter
from modelyard.server.store.memory.endpoints import MemoryEndpoints
from modelyard.server.store.memory.names import MemoryApps, MemoryModels, MemoryTokens, MemoryUsers
from modelyard.server.store.memory.rows import Rows
from modelyard.server.store.memory.versions import MemoryBuilds, MemoryDeployments, MemoryVersions

KEPT_LINES = 100_000


class MemoryStore:
    """Implements `Store`."""

    def __init__(self, *, kept_log_lines: int = KEPT_LINES) -> None:
        rows = Rows()
        self._changes = rows.changes
        self.users = MemoryUsers(rows)
        self.tokens = MemoryTokens(rows)
        self.apps = MemoryApps(rows)
        self.models = MemoryModels(rows)
        self.versions = MemoryVersions(rows)
        self.builds = MemoryBuilds(rows)
        self.deployments = MemoryDeployments(rows)
        self.endpoints = MemoryEndpoints(rows)
        self.logs = MemoryLogs(rows, kept_lines=kept_log_lines)

    def watch(self) -> Waiter:
        """See `Store.watch`."""
        return self._changes.subscribe()

    async def mark(self) -> str | None:
        """See `Store.mark`: to read again costs nothing here."""
        return None

    async def close(self) -> None:
        """See `Store.close`: there is nothing to close."""


class MemoryLogs:
    """Implements `LogStore`."""

    def __init__(self, rows: Rows, *, kept_lines: int) -> None:
        self._rows = rows
        self._kept_lines = kept_lines

    async def append(self, lines: Sequence[LogLine]) -> None:
        for line in lines:
            if line.version_id in self._rows.versions:
                kept = self._rows.lines.setdefault((line.version_id, line.log_type), [])
                kept.append(replace(line, sequence=_last_of(kept) + 1))
                del kept[: -self._kept_lines]

    async def list(self, version_id: str, log_type: LogType, page: Page) -> Sequence[LogLine]:
        kept = self._rows.lines.get((version_id, log_type), [])
        return [one for one in kept if page.offset < one.sequence <= page.offset + page.size]

    async def last_sequence(self, version_id: str, log_type: LogType) -> int:
        return _last_of(self._rows.lines.get((version_id, log_type), []))


def _last_of(lines: Sequence[LogLine]) -> int:
    return lines[-1].sequence if lines else 0
