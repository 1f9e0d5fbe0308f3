"""What is SQL's own: opening, migrations, and that a commit lasts."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from modelyard.errors import Conflict, InvalidRequest
from modelyard.server.records import LogType, Page
from modelyard.server.store import migrations
from modelyard.server.store.migrations.upgrade import HEAD
from modelyard.server.store.sql import SqlStore
from modelyard.server.store.sql.database import Database
from modelyard.server.store.tables import metadata
from support.stores import START, add_model, add_version, make_deployment, make_key, make_line, make_user, open_store


async def test_what_was_written_is_there_after_opening_again(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        await store.users.add(make_user())
    async with open_store(tmp_path) as store:
        assert await store.users.get("ada") == make_user()


async def test_opening_current_tables_needs_no_alembic(tmp_path: Path) -> None:
    async with open_store(tmp_path):
        pass
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "alembic"}
    try:
        async with open_store(tmp_path):
            assert "alembic" not in sys.modules
    finally:
        sys.modules.update(kept)


async def test_the_database_is_durable_and_checks_its_references(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'a.db'}")
    async with database.write() as connection:
        found = [
            (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
    await database.close()
    assert found == ["wal", 2, 1, 10_000]


async def test_tables_and_migrations_agree(tmp_path: Path) -> None:
    async with open_store(tmp_path):
        pass
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'modelyard.db'}")

    def compare(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with database.read() as connection:
        assert await connection.run_sync(compare) == []
    await database.close()


def test_the_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__path__[0])))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


async def test_tables_of_a_newer_version_are_refused(tmp_path: Path) -> None:
    async with open_store(tmp_path):
        pass
    with sqlite3.connect(tmp_path / "modelyard.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(Conflict, match="9999"):
        async with open_store(tmp_path):
            pass


async def test_a_database_of_another_kind_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="mysql"):
        await SqlStore.open("mysql://somewhere/x")


async def test_two_stores_over_one_file_see_each_other(tmp_path: Path) -> None:
    async with open_store(tmp_path) as one, open_store(tmp_path) as two:
        await one.users.add(make_user())
        assert await two.users.get("ada") == make_user()
        assert not await two.users.add(make_user())


async def test_only_the_newest_lines_of_a_log_are_kept(tmp_path: Path) -> None:
    async with open_store(tmp_path, kept_log_lines=10) as store:
        await add_model(store)
        await add_version(store, "v1")
        await store.logs.append([make_line("v1", str(i)) for i in range(1, 9)])
        await store.logs.append([make_line("v1", str(i)) for i in range(9, 14)])
        first = await store.logs.list("v1", LogType.BUILD, Page(number=1, size=8))
        assert [line.sequence for line in first] == [4, 5, 6, 7, 8]
        assert await store.logs.last_sequence("v1", LogType.BUILD) == 13
        assert await store.versions.get(make_key(), "v1") is not None


async def test_models_of_an_older_database_get_their_own_endpoints(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store:
        await add_model(store)
        await store.deployments.put(make_deployment(await add_version(store, "v1")))
    with sqlite3.connect(tmp_path / "modelyard.db") as connection:
        connection.execute("DROP TABLE endpoints")
        connection.execute("ALTER TABLE versions DROP COLUMN warm_up")
        connection.execute("UPDATE alembic_version SET version_num = '0002'")
    connection.close()
    async with open_store(tmp_path) as store:
        own = await store.endpoints.get_own(make_key())
        assert own is not None
        assert [(one.version_id, one.weight) for one in own.traffic] == [("v1", 100)]
        assert own.created_at == START
