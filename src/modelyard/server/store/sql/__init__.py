"""The store over SQL: SQLite now; PostgreSQL passes the same contract tests later."""

from modelyard.server.store.sql.store import SqlStore

__all__ = ["SqlStore"]
