"""Logs of builds and runs: written while they happen, read in pages that stay as they are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from modelyard.server.records import LogLine, LogType, Page
from modelyard.server.services.log_buffer import MAX_LINES, LogBuffer
from modelyard.server.store.base import Store

FLUSH_EVERY_S = 0.1
PAUSE_AFTER_FAILURE_S = 1.0
LINES_AT_ONCE = 1_000
GONE = "[this line is no longer kept]"

log = logging.getLogger(__name__)


class Logs:
    """The logs of all versions. `start` and `aclose` own the task that writes them."""

    def __init__(self, store: Store, *, now: Callable[[], datetime], max_waiting_lines: int = MAX_LINES) -> None:
        self._store = store
        self._now = now
        self._buffer = LogBuffer(now=now, max_lines=max_waiting_lines)
        self._writing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write what is appended, every 0.1 s."""
        self._task = asyncio.create_task(self._keep_flushing(), name="logs")

    async def aclose(self) -> None:
        """Write what is left and stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self.flush()

    def append(self, version_id: str, log_type: LogType, line: str) -> None:
        """Add a line, from any thread. Never blocks: where lines come faster than they can be written, the oldest of
        that log are dropped, and a line says how many."""
        self._buffer.append(version_id, log_type, line)

    async def flush(self) -> None:
        """Write what waits now. Lines of versions that are gone are forgotten. Where the store fails, its error is
        raised and the lines wait on."""
        failure = await asyncio.shield(asyncio.create_task(self._write(), name="logs-write"))
        if failure is not None:
            raise failure

    async def list(self, version_id: str, log_type: LogType, page: Page) -> Sequence[LogLine]:
        """A page of a log, oldest line first, with all that was appended before the call. Lines that are no longer
        kept have their place, so that whoever reads page by page reaches the rest."""
        await self.flush()
        lines = await self._store.logs.list(version_id, log_type, page)
        first = lines[0].sequence if lines else await self._store.logs.last_sequence(version_id, log_type) + 1
        gone = range(page.offset + 1, min(first, page.offset + page.size + 1))
        return [*(self._fill(version_id, log_type, sequence) for sequence in gone), *lines]

    def _fill(self, version_id: str, log_type: LogType, sequence: int) -> LogLine:
        return LogLine(
            version_id=version_id, log_type=log_type, sequence=sequence, message=GONE, created_at=self._now()
        )

    async def _write(self) -> Exception | None:
        """Write, whoever waits for it or no longer does: a line that is written must not come back."""
        async with self._writing:
            waiting = self._buffer.take()
            try:
                while waiting:
                    await self._store.logs.append(waiting[:LINES_AT_ONCE])
                    del waiting[:LINES_AT_ONCE]
            except Exception as error:  # noqa: BLE001  given to whoever waits
                self._buffer.put_back(waiting)
                return error
        return None

    async def _keep_flushing(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_EVERY_S)
            try:
                await self.flush()
            except Exception:  # the boundary of a task: lines wait in the buffer until the store works again
                log.exception("logs.not_written")
                await asyncio.sleep(PAUSE_AFTER_FAILURE_S)
