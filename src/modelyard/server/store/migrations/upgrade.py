"""Brings the tables of a database to what this version of Modelyard needs.

Where they are current already, alembic is not even imported: a server starts often, and its tables change rarely.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from modelyard.errors import Conflict

HEAD = "0003"
"""The newest migration; a test compares it with the files."""
VERSION_TABLE = "alembic_version"


def upgrade(connection: Connection) -> None:
    """Upgrade within the caller's transaction: all steps or none.

    Raises Conflict where the tables are newer than this version of Modelyard.
    """
    current = read_revision(connection)
    if current == HEAD:
        return
    # Imported here, and only here: most starts do not need it.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise Conflict(
            f"the database has tables of revision {current!r}, which this version of Modelyard does not know; "
            f"it knows up to {HEAD!r}",
            hint="start the version of Modelyard that made them, or a newer one",
        ) from error


def read_revision(connection: Connection) -> str | None:
    """Which migration was applied last; None in a new database."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one_or_none()  # noqa: S608
