"""Lines of build and run logs, in SQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from modelyard.server.records import LogLine, LogType, Page
from modelyard.server.store.sql.database import Database, whole
from modelyard.server.store.tables import log_lines, versions

KEPT_LINES = 100_000


class SqlLogs:
    """Implements `LogStore`."""

    def __init__(self, database: Database, *, kept_lines: int = KEPT_LINES) -> None:
        self._database = database
        self._kept_lines = kept_lines

    @whole
    async def append(self, lines: Sequence[LogLine]) -> None:
        by_log: dict[tuple[str, LogType], list[LogLine]] = defaultdict(list)
        for line in lines:
            by_log[line.version_id, line.log_type].append(line)
        async with self._database.write() as connection:
            there = await _hold_versions(connection, {version_id for version_id, _ in by_log})
            for (version_id, log_type), its_lines in by_log.items():
                if version_id in there:
                    await self._append_to(connection, version_id, log_type, its_lines)

    async def list(self, version_id: str, log_type: LogType, page: Page) -> Sequence[LogLine]:
        query = (
            select(log_lines)
            .where(log_lines.c.version_id == version_id, log_lines.c.log_type == log_type.value)
            .where(log_lines.c.sequence > page.offset, log_lines.c.sequence <= page.offset + page.size)
            .order_by(log_lines.c.sequence)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [
            LogLine(
                version_id=row.version_id,
                log_type=log_type,
                sequence=row.sequence,
                message=row.message,
                created_at=row.created_at,
            )
            for row in rows
        ]

    async def last_sequence(self, version_id: str, log_type: LogType) -> int:
        async with self._database.read() as connection:
            return await _last_sequence(connection, version_id, log_type)

    async def _append_to(
        self, connection: AsyncConnection, version_id: str, log_type: LogType, lines: Sequence[LogLine]
    ) -> None:
        last = await _last_sequence(connection, version_id, log_type)
        rows = [
            {
                "version_id": version_id,
                "log_type": log_type.value,
                "sequence": sequence,
                "message": line.message,
                "created_at": line.created_at,
            }
            for sequence, line in enumerate(lines, start=last + 1)
        ]
        await connection.execute(log_lines.insert(), rows)
        too_old = last + len(rows) - self._kept_lines
        if too_old > 0:
            await connection.execute(
                delete(log_lines)
                .where(log_lines.c.version_id == version_id, log_lines.c.log_type == log_type.value)
                .where(log_lines.c.sequence <= too_old)
            )


async def _hold_versions(connection: AsyncConnection, version_ids: set[str]) -> set[str]:
    """Which of these versions are there. They are locked: nobody else numbers their lines meanwhile."""
    query = select(versions.c.version_id).where(versions.c.version_id.in_(version_ids))
    query = query.order_by(versions.c.version_id).with_for_update()
    return set((await connection.execute(query)).scalars())


async def _last_sequence(connection: AsyncConnection, version_id: str, log_type: LogType) -> int:
    query = select(func.max(log_lines.c.sequence)).where(
        log_lines.c.version_id == version_id, log_lines.c.log_type == log_type.value
    )
    return (await connection.execute(query)).scalar_one() or 0
