"""The store over a SQL database."""

from __future__ import annotations

from modelyard.server.store.changes import Changes, Waiter
from modelyard.server.store.migrations.upgrade import upgrade
from modelyard.server.store.sql.apps import SqlApps
from modelyard.server.store.sql.builds import SqlBuilds
from modelyard.server.store.sql.database import Database
from modelyard.server.store.sql.deployments import SqlDeployments
from modelyard.server.store.sql.endpoints import SqlEndpoints
from modelyard.server.store.sql.logs import KEPT_LINES, SqlLogs
from modelyard.server.store.sql.models import SqlModels
from modelyard.server.store.sql.tokens import SqlTokens
from modelyard.server.store.sql.users import SqlUsers
from modelyard.server.store.sql.versions import SqlVersions


class SqlStore:
    """Implements `Store`. Make it with `open`."""

    def __init__(self, database: Database, *, kept_log_lines: int = KEPT_LINES) -> None:
        self._database = database
        self._changes = Changes()
        self.users = SqlUsers(database)
        self.tokens = SqlTokens(database)
        self.apps = SqlApps(database, self._changes)
        self.models = SqlModels(database, self._changes)
        self.versions = SqlVersions(database, self._changes)
        self.builds = SqlBuilds(database, self._changes)
        self.deployments = SqlDeployments(database, self._changes)
        self.endpoints = SqlEndpoints(database, self._changes)
        self.logs = SqlLogs(database, kept_lines=kept_log_lines)

    @classmethod
    async def open(cls, url: str, *, kept_log_lines: int = KEPT_LINES) -> SqlStore:
        """Open the database (`sqlite+aiosqlite:///PATH`), making or upgrading its tables where they are not current.

        Raises:
            InvalidRequest: the URL is of another kind.
            Conflict: the tables were made by a newer Modelyard.
        """
        database = Database(url)
        try:
            async with database.write() as connection:
                await connection.run_sync(upgrade)
        except BaseException:
            await database.close()
            raise
        return cls(database, kept_log_lines=kept_log_lines)

    def watch(self) -> Waiter:
        """See `Store.watch`."""
        return self._changes.subscribe()

    async def mark(self) -> str | None:
        """See `Store.mark`."""
        return await self._database.mark()

    async def close(self) -> None:
        """Finish what runs and close the database."""
        await self._database.close()
