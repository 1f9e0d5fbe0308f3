"""One database: how connections are made, and what a read and a write are. All that is SQLite's own stands here.

SQLite: any number of readers and one writer at a time (WAL). Writers queue for the one connection that writes, which
is fairer and quicker than SQLite's own waiting (it sleeps and tries again); the busy timeout is for other processes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import Connection, Table, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from modelyard.errors import InvalidRequest
from modelyard.server.threads import finish

BUSY_TIMEOUT_MS = 10_000
READERS = 4
WAIT_S = 60.0
"""How long a transaction waits for its turn at most."""
_P = ParamSpec("_P")
_T = TypeVar("_T")
DRIVERS = ("sqlite+aiosqlite", "postgresql+asyncpg")


class Database:
    """The connections of one process to one database."""

    def __init__(self, url: str) -> None:
        """Make the pools; nothing is opened yet. Raises InvalidRequest for a URL of another kind."""
        driver = make_url(url).drivername
        self._watcher: AsyncEngine | None = None
        """SQLite's connection for `mark`."""
        self._watching: AsyncConnection | None = None
        self._watching_since = 0
        if driver not in DRIVERS:
            raise InvalidRequest(f"database URL with {driver!r}: use one of {', '.join(DRIVERS)}")
        if driver.startswith("sqlite"):
            self._writer = _make_sqlite(url, size=1, pragmas=("synchronous=FULL", "foreign_keys=ON"))
            self._reader = _make_sqlite(url, size=READERS, pragmas=("query_only=ON",))
            self._watcher = _make_sqlite(url, size=1, pragmas=("query_only=ON",))
            event.listen(self._writer.sync_engine, "begin", _begin_immediate)
        else:
            self._writer = self._reader = create_async_engine(url, pool_pre_ping=True)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading."""
        async with self._reader.connect() as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that commits durably at the end of the block, and rolls back if the block raises. For methods
        that are `whole`."""
        async with self._writer.begin() as connection:
            yield connection

    async def mark(self) -> str | None:
        """See `Store.mark`. SQLite tells each connection whether others have written; one connection does nothing but
        ask. One at a time."""
        if self._watcher is None:
            return None
        if self._watching is None:
            self._watching = await self._watcher.connect()
            self._watching_since += 1
        try:
            found = await self._watching.exec_driver_sql("PRAGMA data_version")
            return f"{self._watching_since}.{found.scalar_one()}"
        except BaseException:
            watching, self._watching = self._watching, None
            await watching.invalidate()
            await watching.close()
            raise

    async def close(self) -> None:
        """Close every connection."""
        if self._watching is not None:
            await self._watching.close()
        if self._watcher is not None:
            await self._watcher.dispose()
        await self._writer.dispose()
        if self._reader is not self._writer:
            await self._reader.dispose()


def whole(method: Callable[_P, Coroutine[Any, Any, _T]]) -> Callable[_P, Coroutine[Any, Any, _T]]:
    """A method that writes, which runs to its end whoever is cancelled: the cancellation is raised after it.

    SQLAlchemy throws a connection away whose call was cancelled, and SQLite keeps the lock of one that is thrown away
    until the last of its cursors is collected: every other writer would wait for that.
    """

    @wraps(method)
    async def run(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        return await finish(asyncio.create_task(method(*args, **kwargs)))

    return run


async def insert_new(connection: AsyncConnection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert a row; False where its name is taken. A missing parent raises IntegrityError."""
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    result = await connection.execute(make(table).values(**values).on_conflict_do_nothing())
    return result.rowcount == 1


def _make_sqlite(url: str, *, size: int, pragmas: tuple[str, ...]) -> AsyncEngine:
    engine = create_async_engine(url, pool_size=size, max_overflow=0, pool_timeout=WAIT_S)

    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: DBAPIConnection, _record: object) -> None:
        connection.isolation_level = None  # no BEGIN behind our back
        cursor = connection.cursor()
        for pragma in (f"busy_timeout={BUSY_TIMEOUT_MS}", "journal_mode=WAL", *pragmas):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def _begin_immediate(connection: Connection) -> None:
    """Take the write lock at the start: a transaction that reads first and then writes could otherwise fail."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
