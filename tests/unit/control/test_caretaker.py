"""The caretaker: what is used stays, whatever else goes on; what is damaged is found."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from modelyard.errors import InternalError
from modelyard.parts.assemble import assemble
from modelyard.parts.depot import Depot
from modelyard.parts.files import FileEntry, Part
from modelyard.server.control.caretaker import Caretaker
from modelyard.server.records import Version, VersionState
from modelyard.server.store.sql import SqlStore
from support.house import open_house
from support.stores import add_model, make_key, make_user, make_version, open_store
from unit.services.test_deltas import Yard as Uploader


class Yard:
    """A depot whose files are older than any grace, and the versions that use them."""

    def __init__(self, store: SqlStore, place: Path) -> None:
        self.store = store
        self.depot = Depot(place / "depot")
        self.cleared = 0
        self.environments = place / "environments"
        self.caretaker = Caretaker(
            store=store,
            depot=self.depot,
            environments=self.environments,
            clear_arrivals=self._clear,
            grace=timedelta(seconds=-60),
        )

    def _clear(self) -> None:
        self.cleared += 1

    def part(self, **files: bytes) -> str:
        entries = [
            FileEntry(path=name, digest=self.depot.add_bytes(content), size_bytes=len(content))
            for name, content in files.items()
        ]
        return self.depot.add_part(Part(entries))

    async def version(self, version_id: str, code: str, weights: str = "", **changes: object) -> Version:
        made = replace(
            make_version(version_id, state=VersionState.READY), code_digest=code, weights_digest=weights, **changes
        )
        return await self.store.versions.add(made)

    def digests(self) -> set[str]:
        return {content.digest for content in self.depot.list_contents()}


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    async with open_store(tmp_path) as store:
        await store.users.add(make_user())
        await add_model(store)
        yield Yard(store, tmp_path)


async def test_what_a_version_is_made_of_stays_and_the_rest_goes(yard: Yard) -> None:
    manifest = yard.depot.add_bytes(b"manifest")
    await yard.version("v1", yard.part(a=b"a"), yard.part(w=b"w"), manifest_digest=manifest)
    used = yard.digests()
    yard.part(b=b"nobody's")
    swept = await yard.caretaker.collect()
    assert swept.files == 2
    assert yard.digests() == used


async def test_a_deleted_version_makes_room_but_for_what_others_share(yard: Yard) -> None:
    shared = yard.part(w=b"w")
    await yard.version("v1", yard.part(a=b"a"), shared)
    kept = yard.digests()
    await yard.version("v2", yard.part(a=b"edited"), shared)
    assert await yard.store.versions.delete(make_key(), "v2")
    assert (await yard.caretaker.collect()).files == 2
    assert yard.digests() == kept


@pytest.mark.parametrize("state", [VersionState.UPLOADING, VersionState.UPLOADED, VersionState.BUILDING])
async def test_what_came_since_an_upload_or_build_began_stays(yard: Yard, state: VersionState) -> None:
    began = replace(make_version("v1", state=state), created_at=datetime.now(UTC))
    await yard.store.versions.add(began)
    yard.part(w=b"fetched for it")
    assert (await yard.caretaker.collect()).files == 0


async def test_what_was_added_lately_stays(yard: Yard) -> None:
    yard.part(w=b"new")
    careful = Caretaker(store=yard.store, depot=yard.depot, environments=yard.environments, clear_arrivals=lambda: None)
    assert (await careful.collect()).files == 0


async def test_a_running_replica_keeps_its_files_when_its_version_is_deleted(yard: Yard, tmp_path: Path) -> None:
    code, weights = yard.part(a=b"a"), yard.part(w=b"w")
    await yard.version("v1", code, weights)
    folder = assemble(yard.depot, code=code, weights=weights, dest=tmp_path / "versions" / "v1")
    assert await yard.store.versions.delete(make_key(), "v1")
    await yard.caretaker.collect()
    assert yard.digests() == set()
    assert (folder / "w").read_bytes() == b"w"


async def test_nothing_is_removed_where_a_versions_list_cannot_be_read(yard: Yard) -> None:
    code = yard.part(a=b"a")
    await yard.version("v1", code)
    yard.depot.path_of(code).unlink()
    yard.part(b=b"nobody's")
    before = yard.digests()
    with pytest.raises(InternalError, match="so nothing is removed"):
        await yard.caretaker.collect()
    assert yard.digests() == before


async def test_uploads_beside_an_endless_collection_lose_nothing(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        await add_model(house.store)
        house.clock.now = datetime.now(UTC)
        uploader = Uploader(house, tmp_path)
        depot = uploader.intake.depot
        caretaker = Caretaker(
            store=house.store,
            depot=depot,
            environments=tmp_path / "environments",
            clear_arrivals=lambda: None,
            grace=timedelta(seconds=-60),
        )
        collecting = asyncio.Event()
        collecting.set()

        async def collect() -> int:
            rounds = 0
            while collecting.is_set():
                await caretaker.collect()
                rounds += 1
            return rounds

        task = asyncio.create_task(collect())
        model = uploader.folder / "1" / "model.py"
        for number in range(8):
            model.write_text(f"{model.read_text()}# {number}\n")
            house.clock.now = datetime.now(UTC)
            version = await uploader.version(await uploader.send())
            for part in (version.code_digest, version.weights_digest):
                for entry in depot.get_part(part).files:
                    depot.verify(entry.digest)
            if number % 2:  # what it shared with the one before it stays, what it alone had goes
                await house.store.versions.delete(version.key, version.version_id)
        collecting.clear()
        assert await task > 0


async def test_environments_of_no_version_go_in_a_later_round(yard: Yard) -> None:
    used, unused = "a" * 64, "b" * 64
    for digest in (used, unused):
        (yard.environments / digest).mkdir(parents=True)
        (yard.environments / digest / ".complete").touch()
    (yard.environments / ".guards").mkdir()
    await yard.version("v1", yard.part(a=b"a"), environment_digest=used)
    assert (await yard.caretaker.collect()).environments == 0
    note = yard.environments / ".unused" / unused
    os.utime(note, (time.time() - 3600,) * 2)
    assert (await yard.caretaker.collect()).environments == 1
    assert {path.name for path in yard.environments.iterdir() if not path.name.startswith(".")} == {used}


async def test_a_scrub_finds_what_a_disk_did(yard: Yard) -> None:
    code = yard.part(a=b"a", b=b"b")
    await yard.version("v1", code)
    victim = yard.depot.get_part(code).files[0].digest
    path = yard.depot.path_of(victim)
    seal = path.stat().st_mtime_ns
    path.chmod(0o644)
    path.write_bytes(b"x")
    os.utime(path, ns=(seal, seal))
    seen: list[int] = []
    found = await yard.caretaker.scrub(on_file=seen.append)
    assert found.damaged == (victim,)
    assert len(seen) == found.files == 3
    assert (await yard.caretaker.scrub(is_gentle=True)).damaged == ()


async def test_usage_counts_each_content_once_for_each_user(yard: Yard) -> None:
    await yard.store.users.add(make_user("bob"))
    await add_model(yard.store, make_key(user_id="bob"))
    weights = yard.part(w=b"x" * 1000)
    await yard.version("v1", yard.part(a=b"a"), weights)
    await yard.version("v2", yard.part(a=b"bb"), weights)
    await yard.version("v3", yard.part(a=b"bb"), weights, key=make_key(user_id="bob"))
    yard.depot.add_bytes(b"nobody's")
    found = await yard.caretaker.measure()
    assert [(one.user_id, one.versions, one.size_bytes) for one in found.users] == [("ada", 2, 1003), ("bob", 1, 1002)]
    assert (found.unused_files, found.unused_bytes) == (1, 8)
    assert found.files == 3 + 3 + 1
