"""Uploads: what is accepted is safe and queued, and whatever goes wrong is said in the version."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import (
    Conflict,
    InternalError,
    InvalidArchive,
    InvalidConfig,
    InvalidFolder,
    InvalidRequest,
    ModelNotFound,
    ModelyardError,
    TooLarge,
    UploadIncomplete,
)
from modelyard.server.records import BuildState, LogType, Page, Version, VersionState
from modelyard.server.services.uploads import Announcement, ContentPart, Progress
from modelyard.server.settings import UploadSettings
from modelyard.wire.messages import ModelVersion
from support.doors import eventually
from support.folders import pack, write_folder
from support.house import House
from support.intake import make_intake
from support.stores import add_model, add_version, make_key


class Desk:
    """Uploads over a real store and a real depot, with what they wrote."""

    def __init__(self, house: House, folder: Path, settings: UploadSettings) -> None:
        self.house = house
        self.lines: list[str] = []
        made = make_intake(house, folder, settings, self._write_line)
        self.folder, self.depot, self.uploads = made.folder, made.depot, made.uploads

    def _write_line(self, version_id: str, log_type: LogType, line: str) -> None:
        assert version_id
        assert log_type is LogType.BUILD
        self.lines.append(line)

    async def send(self, content: Any, **changes: Any) -> list[Progress]:
        """Upload in parts of 1000 bytes; what comes back. `content` may be the parts."""
        parts = content if isinstance(content, list) else split(content)
        total = sum(len(one.data) for one in parts)
        return [one async for one in self.uploads.receive(announce(**{"total_bytes": total, **changes}), stream(parts))]

    async def refuse(self, content: Any, kind: type[ModelyardError], words: str, **changes: Any) -> Version:
        """Upload; the version that failed by this."""
        with pytest.raises(kind, match=words) as caught:
            await self.send(content, **changes)
        version = await self.only_version()
        assert version.state is VersionState.UPLOAD_FAILED
        assert version.state_message == str(caught.value)
        assert version.completed_at is not None
        assert self.lines[-1] == f"Upload failed: {caught.value}"
        assert await self.house.store.builds.get(version.version_id) is None
        self.expect_clean()
        return version

    async def only_version(self) -> Version:
        versions = await self.house.store.versions.list(make_key(), Page())
        assert len(versions) == 1
        return versions[0]

    def expect_clean(self) -> None:
        assert list(self.folder.iterdir()) == []


@pytest.fixture
async def desk(house: House, tmp_path: Path) -> Desk:
    await add_model(house.store)
    return Desk(house, tmp_path, UploadSettings(max_size_bytes=200_000, idle_timeout_s=5, concurrent_per_user=2))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = write_folder(tmp_path_factory.mktemp("model"), model_id="m", user_id="ada")
    (folder / "1" / "checkpoints").mkdir()
    (folder / "1" / "checkpoints" / "weights.bin").write_bytes(random.Random(1).randbytes(5000))
    return pack(folder)


def announce(total_bytes: int, **changes: Any) -> Announcement:
    fields = {"user_id": "ada", "app_id": "main", "model_id": "m", "spec": ModelVersion(), "total_bytes": total_bytes}
    return Announcement(**{**fields, **changes})


def split(content: bytes, size: int = 1000) -> list[ContentPart]:
    starts = range(0, len(content), size)
    return [ContentPart(number=number, data=content[at : at + size]) for number, at in enumerate(starts, 1)]


async def stream(parts: Sequence[ContentPart]) -> AsyncIterator[ContentPart]:
    for one in parts:
        yield one


async def collect(steps: AsyncIterator[Progress]) -> list[Progress]:
    return [one async for one in steps]


async def stream_and_wait(parts: Sequence[ContentPart]) -> AsyncIterator[ContentPart]:
    for one in parts:
        yield one
    await asyncio.Event().wait()


async def test_an_upload_ends_accepted_with_its_build_queued(desk: Desk, archive: bytes) -> None:
    steps = await desk.send(archive)
    assert [step.is_accepted for step in steps] == [False] * (len(steps) - 1) + [True]
    assert len({step.version_id for step in steps}) == 1
    assert (steps[0].percent, steps[-1].percent) == (0, 100)
    assert (steps[0].remaining_bytes, steps[-1].remaining_bytes) == (len(archive), 0)
    version = await desk.only_version()
    assert version.state is VersionState.UPLOADED
    assert version.version_id == steps[-1].version_id
    build = await desk.house.store.builds.get(version.version_id)
    assert build is not None
    assert build.state is BuildState.QUEUED
    desk.expect_clean()


async def test_code_and_weights_are_in_the_depot_apart(desk: Desk, archive: bytes) -> None:
    await desk.send(archive)
    version = await desk.only_version()
    code, weights = desk.depot.get_part(version.code_digest), desk.depot.get_part(version.weights_digest)
    assert {one.path for one in code.files} == {"1/model.py", "config.yaml", "requirements.txt"}
    assert [one.path for one in weights.files] == ["1/checkpoints/weights.bin"]
    assert version.size_bytes == code.size_bytes + weights.size_bytes
    for one in (*code.files, *weights.files):
        assert len(desk.depot.read(one.digest)) == one.size_bytes


async def test_a_folder_without_weights_has_no_weights_part(desk: Desk, tmp_path: Path) -> None:
    await desk.send(pack(write_folder(tmp_path / "f", model_id="m")))
    assert (await desk.only_version()).weights_digest == ""


async def test_the_same_archive_again_is_another_version_of_the_same_parts(desk: Desk, archive: bytes) -> None:
    await desk.send(archive)
    await desk.send(archive)
    newer, older = await desk.house.store.versions.list(make_key(), Page())
    assert (newer.number, older.number) == (2, 1)
    assert newer.code_digest == older.code_digest
    assert newer.version_id != older.version_id


async def test_what_the_client_says_of_a_version_is_kept_and_completed_from_the_config(
    desk: Desk, archive: bytes
) -> None:
    spec = ModelVersion(description="mine")
    spec.inference_compute_info.cpu_limit = "7"
    await desk.send(archive, spec=spec)
    kept = ModelVersion.FromString((await desk.only_version()).spec)
    assert (kept.description, kept.inference_compute_info.cpu_limit, kept.num_threads) == ("mine", "7", 4)


async def test_what_the_client_leaves_out_comes_from_the_config(desk: Desk, archive: bytes) -> None:
    await desk.send(archive)
    kept = ModelVersion.FromString((await desk.only_version()).spec)
    assert (kept.inference_compute_info.cpu_memory, kept.num_threads) == ("1Gi", 4)


async def test_another_model_id_in_the_config_is_a_warning_in_the_log(desk: Desk, tmp_path: Path) -> None:
    await desk.send(pack(write_folder(tmp_path / "f", model_id="other")))
    assert any("'other'" in line and "'m'" in line for line in desk.lines)


async def test_an_upload_to_no_model_leaves_nothing(desk: Desk, archive: bytes) -> None:
    with pytest.raises(ModelNotFound, match="Model does not exist"):
        await desk.send(archive, model_id="nothing")
    desk.expect_clean()


@pytest.mark.parametrize(
    ("total", "kind", "words"),
    [
        (0, InvalidRequest, "total_size is 0"),
        (-1, InvalidRequest, "total_size is -1"),
        (200_001, TooLarge, "at most 200000"),
    ],
)
async def test_a_size_that_cannot_be_taken_is_refused_at_once(
    desk: Desk, archive: bytes, total: int, kind: type[ModelyardError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        await desk.send(archive, total_bytes=total)
    assert await desk.house.store.versions.list(make_key(), Page()) == []
    desk.expect_clean()


async def test_an_upload_that_ends_early_has_failed(desk: Desk, archive: bytes) -> None:
    await desk.refuse(archive, UploadIncomplete, "ended after", total_bytes=len(archive) + 1)


async def test_more_bytes_than_announced_are_refused(desk: Desk, archive: bytes) -> None:
    await desk.refuse(archive, UploadIncomplete, "more bytes came", total_bytes=len(archive) - 1)


@pytest.mark.parametrize("order", [[2, 1], [1, 1], [1, 3], [0, 1]])
async def test_parts_out_of_order_are_refused(desk: Desk, order: list[int]) -> None:
    parts = [ContentPart(number=number, data=b"x") for number in order]
    await desk.refuse(parts, InvalidRequest, "part_number is")


async def test_what_is_no_archive_is_refused(desk: Desk) -> None:
    await desk.refuse(b"hello" * 500, InvalidArchive, "archive")


async def test_all_problems_of_a_config_are_named(desk: Desk, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "f", config="model:\n  id: 1\nnum_threads: many\n")
    version = await desk.refuse(pack(folder), InvalidConfig, "num_threads")
    assert "model" in version.state_message


async def test_a_folder_without_a_model_is_refused(desk: Desk, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "f", model_id="m")
    (folder / "1" / "model.py").unlink()
    await desk.refuse(pack(folder), InvalidFolder, r"1/model\.py")


async def test_a_client_that_says_nothing_is_given_up(house: House, tmp_path: Path, archive: bytes) -> None:
    await add_model(house.store)
    desk = Desk(house, tmp_path, UploadSettings(idle_timeout_s=0.05))
    with pytest.raises(UploadIncomplete, match=r"nothing came for 0\.05 seconds"):
        await collect(desk.uploads.receive(announce(len(archive)), stream_and_wait(split(archive)[:1])))
    assert (await desk.only_version()).state is VersionState.UPLOAD_FAILED
    desk.expect_clean()


@pytest.mark.parametrize("arrived", [0, 1, 3])
async def test_a_client_that_goes_away_leaves_a_failed_version_and_no_files(
    desk: Desk, archive: bytes, arrived: int
) -> None:
    parts = stream_and_wait(split(archive)[:arrived])
    task = asyncio.create_task(collect(desk.uploads.receive(announce(len(archive)), parts)))
    await eventually(lambda: list(desk.folder.iterdir()))
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    version = await desk.only_version()
    assert version.state is VersionState.UPLOAD_FAILED
    assert "went away" in version.state_message
    desk.expect_clean()


async def test_a_client_that_goes_away_during_the_check_leaves_nothing_behind(desk: Desk, archive: bytes) -> None:
    task = asyncio.create_task(desk.send(archive))
    await eventually(lambda: any(one.suffix == ".staging" for one in desk.folder.iterdir()))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (await desk.only_version()).state is VersionState.UPLOAD_FAILED
    desk.expect_clean()


async def test_an_upload_that_is_no_longer_read_fails_too(desk: Desk, archive: bytes) -> None:
    async with aclosing(desk.uploads.receive(announce(len(archive)), stream(split(archive)))) as steps:
        async for _ in steps:
            break
    assert (await desk.only_version()).state is VersionState.UPLOAD_FAILED
    desk.expect_clean()


async def test_a_version_that_is_deleted_meanwhile_stays_deleted(desk: Desk, archive: bytes) -> None:
    steps = desk.uploads.receive(announce(len(archive)), stream(split(archive)))
    first = await anext(steps)
    await desk.house.store.versions.delete(make_key(), first.version_id)
    with pytest.raises(Conflict, match="deleted while"):
        await collect(steps)
    assert await desk.house.store.versions.list(make_key(), Page()) == []
    desk.expect_clean()


async def test_a_fault_of_the_server_is_said_and_logged(
    desk: Desk, archive: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (desk.folder.parent / "depot").rename(desk.folder.parent / "gone")
    (desk.folder.parent / "depot").write_text("no folder any more")
    await desk.refuse(archive, InternalError, "could not take the upload: Not a directory")
    assert "upload.crashed" in caplog.text


async def test_a_user_may_have_only_so_many_at_once(desk: Desk, archive: bytes) -> None:
    begun = [desk.uploads.receive(announce(len(archive)), stream_and_wait([])) for _ in range(2)]
    for one in begun:
        await anext(one)
    with pytest.raises(Conflict, match="2 uploads of yours are running"):
        await desk.send(archive)
    for one in begun:
        await one.aclose()
    assert (await desk.send(archive))[-1].is_accepted


async def test_a_restart_ends_what_was_arriving_and_clears_up(desk: Desk) -> None:
    await add_version(desk.house.store, "v1", state=VersionState.UPLOADING)
    await add_version(desk.house.store, "v2", state=VersionState.READY)
    (desk.folder / "v1.part").write_bytes(b"x")
    (desk.folder / "v1.staging" / "1").mkdir(parents=True)
    await desk.uploads.recover()
    version = await desk.house.store.versions.get_by_id("v1")
    assert version is not None
    assert version.state is VersionState.UPLOAD_FAILED
    assert "restarted during the upload" in version.state_message
    other = await desk.house.store.versions.get_by_id("v2")
    assert other is not None
    assert other.state is VersionState.READY
    desk.expect_clean()
