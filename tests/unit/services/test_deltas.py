"""Delta uploads: what is missing is asked for, what came is kept, and nobody refers to what is not theirs."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from modelyard.errors import (
    Conflict,
    InvalidConfig,
    InvalidFolder,
    InvalidRequest,
    ModelNotFound,
    TooLarge,
    UploadIncomplete,
)
from modelyard.parts.bundle import MAX_BUNDLED_BYTES, write_bundle
from modelyard.parts.delta import Answer
from modelyard.parts.files import FileEntry
from modelyard.parts.hashes import hash_files
from modelyard.server.records import AppKey, BuildState, Page, Version, VersionState
from modelyard.server.sealing import Sealer
from modelyard.server.services import arrivals
from modelyard.server.services.arrival_room import LEAST_BYTES, ArrivalRoom
from modelyard.server.services.deltas import Order, Piece
from modelyard.server.settings import UploadSettings
from modelyard.wire.messages import ModelVersion
from support.folders import write_folder
from support.house import House
from support.intake import Intake, make_intake
from support.stores import add_model, make_key, make_user

WEIGHTS = bytes(range(256)) * 40


class Yard:
    """A server's delta uploads, and a folder to send."""

    def __init__(self, house: House, place: Path, **settings: Any) -> None:
        self.house = house
        self.place = place
        self.lines: list[str] = []
        self.intake: Intake = make_intake(
            house, place, UploadSettings(**settings), lambda _id, _type, line: self.lines.append(line)
        )
        self.deltas = self.intake.deltas
        self.folder = write_folder(place / "folder", model_id="m", user_id="ada")
        (self.folder / "1" / "checkpoints").mkdir()
        (self.folder / "1" / "checkpoints" / "w.bin").write_bytes(WEIGHTS)

    def order(self, **changes: Any) -> Order:
        files = sorted(path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file())
        entries = tuple(hash_files(self.folder, files, cache_dir=self.place / "cache"))
        given = {"user_id": "ada", "app_id": "main", "model_id": "m", "files": entries, "spec": ModelVersion()}
        return Order(**{**given, **changes})

    async def ask(self, **changes: Any) -> Answer:
        return await self.deltas.take(self.order(**changes))

    async def put(self, entry: FileEntry, content: bytes, *, offset: int = 0, user_id: str = "ada") -> int:
        piece = Piece(
            owner=AppKey(user_id=user_id, app_id="main"),
            digest=entry.digest,
            size_bytes=entry.size_bytes,
            offset=offset,
        )
        return await self.deltas.receive(piece, stream(content))

    async def send(self, **changes: Any) -> Answer:
        """As a client does."""
        order = self.order(**changes)
        answer = await self.deltas.take(order)
        by_digest = {entry.digest: entry for entry in order.files}
        for one in answer.missing:
            entry = by_digest[one.digest]
            content = (self.folder / entry.path).read_bytes()
            await self.put(entry, content[one.received_bytes :], offset=one.received_bytes, user_id=order.user_id)
        return await self.deltas.take(order) if answer.missing else answer

    async def version(self, answer: Answer) -> Version:
        found = await self.house.store.versions.get_by_id(answer.version_id)
        assert found is not None
        return found

    def entry(self, path: str) -> FileEntry:
        return next(entry for entry in self.order().files if entry.path == path)

    def names_of(self, answer: Answer) -> list[str]:
        places = {entry.digest: entry.path for entry in self.order().files}
        return [places[one.digest] for one in answer.missing]

    def left(self) -> list[Path]:
        return [path for root in ("arrivals", "uploads") for path in (self.place / root).rglob("*") if path.is_file()]


async def stream(content: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for at in range(0, len(content), size):
        yield content[at : at + size]


@pytest.fixture
async def yard(house: House, tmp_path: Path) -> Yard:
    await add_model(house.store)
    return Yard(house, tmp_path)


async def test_an_order_asks_for_everything_and_becomes_a_version_with_a_queued_build(yard: Yard) -> None:
    first = await yard.ask()
    assert len(first.missing) == len(yard.order().files)
    accepted = await yard.send()
    version = await yard.version(accepted)
    assert version.state is VersionState.UPLOADED
    assert version.size_bytes == sum(entry.size_bytes for entry in yard.order().files)
    build = await yard.house.store.builds.get(version.version_id)
    assert build is not None
    assert build.state is BuildState.QUEUED
    weights = yard.intake.depot.get_part(version.weights_digest)
    assert [entry.path for entry in weights.files] == ["1/checkpoints/w.bin"]
    assert yard.intake.depot.read(weights.files[0].digest) == WEIGHTS
    assert yard.left() == []


async def test_after_an_edit_only_the_edited_file_is_missing(yard: Yard) -> None:
    await yard.send()
    with (yard.folder / "1" / "model.py").open("a") as file:
        file.write("# an edit\n")
    assert yard.names_of(await yard.ask()) == ["1/model.py"]
    version = await yard.version(await yard.send())
    assert version.number == 2
    assert yard.intake.depot.get_part(version.code_digest).size_bytes


async def test_a_moved_file_and_its_mode_need_no_sending(yard: Yard) -> None:
    await yard.send()
    (yard.folder / "1" / "checkpoints" / "w.bin").rename(yard.folder / "1" / "checkpoints" / "other.bin")
    (yard.folder / "1" / "model.py").chmod(0o755)
    version = await yard.version(await yard.ask())
    weights = yard.intake.depot.get_part(version.weights_digest)
    assert [entry.path for entry in weights.files] == ["1/checkpoints/other.bin"]
    code = {entry.path: entry.is_executable for entry in yard.intake.depot.get_part(version.code_digest).files}
    assert code["1/model.py"]


async def test_the_same_content_at_two_places_is_sent_once(yard: Yard) -> None:
    (yard.folder / "1" / "checkpoints" / "again.bin").write_bytes(WEIGHTS)
    answer = await yard.ask()
    assert len(answer.missing) == len(yard.order().files) - 1
    version = await yard.version(await yard.send())
    assert len(yard.intake.depot.get_part(version.weights_digest).files) == 2


async def test_an_archive_and_an_order_of_the_same_folder_make_the_same_parts(yard: Yard) -> None:
    from support.folders import pack
    from unit.services.test_uploads import announce, split
    from unit.services.test_uploads import stream as parts

    archive = pack(yard.folder)
    steps = yard.intake.uploads.receive(announce(len(archive)), parts(split(archive)))
    whole = await yard.house.store.versions.get_by_id([step async for step in steps][-1].version_id)
    assert whole is not None
    answer = await yard.ask()
    assert answer.missing == ()
    version = await yard.version(answer)
    assert (version.code_digest, version.weights_digest) == (whole.code_digest, whole.weights_digest)


async def test_a_digest_of_somebody_elses_file_gives_nothing_and_tells_nothing(yard: Yard) -> None:
    await yard.send()
    await yard.house.store.users.add(make_user("bob"))
    await add_model(yard.house.store, make_key(user_id="bob"))
    fresh = replace(yard.entry("1/model.py"), digest="0" * 64)
    answer = await yard.ask(user_id="bob", files=(*yard.order().files, replace(fresh, path="1/new.py")))
    assert len(answer.missing) == len(yard.order().files) + 1  # theirs and the one that nobody has look the same
    assert {one.received_bytes for one in answer.missing} == {0}
    sent = await yard.send(user_id="bob")
    assert (await yard.version(sent)).key.user_id == "bob"


async def test_what_another_user_has_sent_halfway_is_not_gone_on_with(yard: Yard) -> None:
    await yard.put(yard.entry("1/checkpoints/w.bin"), WEIGHTS)
    await yard.house.store.users.add(make_user("bob"))
    await add_model(yard.house.store, make_key(user_id="bob"))
    answer = await yard.ask(user_id="bob")
    assert {one.received_bytes for one in answer.missing} == {0}


async def test_a_token_bound_to_an_app_refers_only_to_its_content(yard: Yard) -> None:
    await yard.send()
    await add_model(yard.house.store, make_key(app_id="other"))
    everything = len(yard.order().files)
    assert len((await yard.ask(app_id="other", app_ids=frozenset({"other"}))).missing) == everything
    assert (await yard.ask(app_id="other")).missing == ()


async def test_what_a_broken_connection_brought_is_gone_on_with(yard: Yard) -> None:
    entry = yard.entry("1/checkpoints/w.bin")

    async def broken() -> AsyncIterator[bytes]:
        yield WEIGHTS[:3000]
        raise ConnectionResetError

    piece = Piece(
        owner=AppKey(user_id="ada", app_id="main"), digest=entry.digest, size_bytes=entry.size_bytes, offset=0
    )
    with pytest.raises(ConnectionResetError):
        await yard.deltas.receive(piece, broken())
    received = {one.digest: one.received_bytes for one in (await yard.ask()).missing}
    assert received[entry.digest] == 3000
    assert await yard.put(entry, WEIGHTS[3000:5000], offset=3000) == 5000
    yard.deltas = make_intake(yard.house, yard.place, UploadSettings(), lambda *_: None).deltas  # after a restart
    assert await yard.put(entry, WEIGHTS[5000:], offset=5000) == len(WEIGHTS)
    assert entry.digest not in [one.digest for one in (await yard.ask()).missing]


async def test_bytes_that_are_not_the_digests_are_refused_and_forgotten(yard: Yard) -> None:
    entry = yard.entry("1/checkpoints/w.bin")
    with pytest.raises(InvalidRequest, match="not those of"):
        await yard.put(entry, b"x" * entry.size_bytes)
    assert yard.left() == []
    assert await yard.put(entry, WEIGHTS) == entry.size_bytes


async def test_more_bytes_than_announced_are_refused(yard: Yard) -> None:
    with pytest.raises(InvalidRequest, match="more than the"):
        await yard.put(yard.entry("1/checkpoints/w.bin"), WEIGHTS + b"x")


async def test_a_piece_begins_where_the_file_ends(yard: Yard) -> None:
    with pytest.raises(Conflict, match="0 bytes of sha256"):
        await yard.put(yard.entry("1/checkpoints/w.bin"), WEIGHTS[5:], offset=5)


async def test_one_connection_sends_a_file_and_a_second_one_waits(yard: Yard) -> None:
    entry = yard.entry("1/checkpoints/w.bin")
    has_begun, may_end = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield WEIGHTS[:10]
        has_begun.set()
        await may_end.wait()
        yield WEIGHTS[10:]

    piece = Piece(
        owner=AppKey(user_id="ada", app_id="main"), digest=entry.digest, size_bytes=entry.size_bytes, offset=0
    )
    first = asyncio.create_task(yard.deltas.receive(piece, slow()))
    await has_begun.wait()
    with pytest.raises(Conflict, match="another connection"):
        await yard.put(entry, WEIGHTS)
    may_end.set()
    assert await first == len(WEIGHTS)


async def test_a_connection_that_is_cut_lets_the_next_one_in(yard: Yard) -> None:
    entry = yard.entry("1/checkpoints/w.bin")
    has_begun = asyncio.Event()

    async def hang() -> AsyncIterator[bytes]:
        yield WEIGHTS[:10]
        has_begun.set()
        await asyncio.Event().wait()

    piece = Piece(
        owner=AppKey(user_id="ada", app_id="main"), digest=entry.digest, size_bytes=entry.size_bytes, offset=0
    )
    task = asyncio.create_task(yard.deltas.receive(piece, hang()))
    await has_begun.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    received = {one.digest: one.received_bytes for one in (await yard.ask()).missing}[entry.digest]
    assert await yard.put(entry, WEIGHTS[received:], offset=received) == len(WEIGHTS)


async def test_a_connection_that_is_cut_while_a_block_is_written_loses_nothing(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = yard.entry("1/checkpoints/w.bin")
    is_writing, may_write = threading.Event(), threading.Event()
    write_all = arrivals._write_all

    def write_slowly(file: BinaryIO, block: bytes) -> None:
        is_writing.set()
        may_write.wait(10)
        write_all(file, block)

    monkeypatch.setattr(arrivals, "_write_all", write_slowly)
    task = asyncio.create_task(yard.put(entry, WEIGHTS))
    await asyncio.to_thread(is_writing.wait, 10)
    for _ in range(3):  # a connection that goes and a server that stops, each in its own way
        task.cancel()
        await asyncio.wait({task}, timeout=0.05)
        assert not task.done()
    may_write.set()
    await asyncio.gather(task, return_exceptions=True)
    received = {one.digest: one.received_bytes for one in (await yard.ask()).missing}[entry.digest]
    assert received == 1000
    assert await yard.put(entry, WEIGHTS[received:], offset=received) == len(WEIGHTS)


async def test_a_file_that_found_the_disk_full_begins_anew(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = yard.entry("1/checkpoints/w.bin")
    write_all = arrivals._write_all
    written: list[bytes] = []

    def write_some(file: BinaryIO, block: bytes) -> None:
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(block)
        write_all(file, block)

    monkeypatch.setattr(arrivals, "_write_all", write_some)
    with pytest.raises(TooLarge, match="disk is full"):
        await yard.put(entry, WEIGHTS)
    monkeypatch.undo()
    assert {one.digest: one.received_bytes for one in (await yard.ask()).missing}[entry.digest] == 0
    assert await yard.put(entry, WEIGHTS) == len(WEIGHTS)


async def test_a_silent_connection_is_given_up(house: House, tmp_path: Path) -> None:
    await add_model(house.store)
    yard = Yard(house, tmp_path, idle_timeout_s=0.05)

    async def silent() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    entry = yard.entry("1/checkpoints/w.bin")
    piece = Piece(
        owner=AppKey(user_id="ada", app_id="main"), digest=entry.digest, size_bytes=entry.size_bytes, offset=0
    )
    with pytest.raises(UploadIncomplete, match="nothing came"):
        await yard.deltas.receive(piece, silent())


BAD_LISTS = {
    "../model.py": "'.' or '..'",
    "/etc/passwd": "absolute",
    "a//b": "empty names",
    "1/mod\u0065\u0301l.py": "composed form",
    "1/MODEL.py": "differ only in upper and lower case",
    "1/a\u202eb": "control characters",
    "1/model.py": "it is there twice",
    "1/model.py/x": "it is there twice|differ|collides|'1/model.py'",
    "/".join("d" * 25): "deeper than",
    "x" * 300: "longer than 255",
}


@pytest.mark.parametrize("path", BAD_LISTS)
async def test_a_list_is_held_to_the_rules_of_an_archive(yard: Yard, path: str) -> None:
    files = (*yard.order().files, FileEntry(path=path, digest="1" * 64, size_bytes=1))
    with pytest.raises(InvalidFolder, match=BAD_LISTS[path]):
        await yard.ask(files=files)
    assert await yard.house.store.versions.list(make_key(), Page()) == []


async def test_a_list_may_not_be_too_long_too_large_or_contradict_itself(yard: Yard) -> None:
    one = FileEntry(path="a", digest="1" * 64, size_bytes=1)
    with pytest.raises(InvalidFolder, match="at most 10000"):
        await yard.ask(files=tuple(replace(one, path=f"f{number}") for number in range(10_001)))
    with pytest.raises(InvalidFolder, match="bytes together"):
        await yard.ask(files=(replace(one, size_bytes=2**60),))
    with pytest.raises(InvalidFolder, match="with 2 and with 1 bytes"):
        await yard.ask(files=(one, replace(one, path="b", size_bytes=2)))


async def test_a_folder_that_cannot_be_built_is_refused_with_all_of_its_problems(yard: Yard) -> None:
    (yard.folder / "config.yaml").write_text("model: {id: m, user_id: ada, model_type_id: text-to-text}\nnope: 1\n")
    (yard.folder / "1" / "model.py").write_text("def (:\n")
    with pytest.raises((InvalidFolder, InvalidConfig), match=r"1/model\.py line 1"):
        await yard.send()
    (version,) = await yard.house.store.versions.list(make_key(), Page())
    assert version.state is VersionState.UPLOAD_FAILED
    assert yard.intake.folder.exists()
    assert list(yard.intake.folder.iterdir()) == []


async def test_a_huge_ignore_file_is_not_read(yard: Yard) -> None:
    with (yard.folder / ".modelyardignore").open("wb") as file:
        file.truncate(2 * 1024 * 1024)
    with pytest.raises(InvalidFolder, match=r"\.modelyardignore has 2097152 bytes"):
        await yard.send()


async def test_a_model_that_is_not_there_is_said_first(yard: Yard) -> None:
    with pytest.raises(ModelNotFound):
        await yard.ask(model_id="nothing")


async def test_the_token_of_a_config_is_sealed_and_left_nowhere(yard: Yard) -> None:
    token = "hf_QwErTyUiOp"
    with (yard.folder / "config.yaml").open("a") as file:
        file.write(f'checkpoints:\n  type: huggingface\n  repo_id: owner/name\n  hf_token: "{token}"\n')
    (yard.folder / "1" / "checkpoints" / "w.bin").unlink()
    version = await yard.version(await yard.send())
    build = await yard.house.store.builds.get(version.version_id)
    assert build is not None
    assert Sealer(yard.place).open(build.sealed_token, owner=version.version_id) == token
    for path in yard.place.rglob("*"):
        if path.is_file() and yard.folder not in path.parents:
            assert token.encode() not in path.read_bytes(), path


async def test_an_upload_that_is_asked_again_stays_one_version(yard: Yard) -> None:
    first = await yard.send(upload_id="u1")
    again = await yard.ask(upload_id="u1")
    assert again.version_id == first.version_id
    assert (await yard.ask(upload_id="u2")).version_id != first.version_id


async def test_an_upload_that_a_crash_cut_off_becomes_a_version_when_it_is_asked_again(yard: Yard) -> None:
    first = await yard.version(await yard.send(upload_id="u1"))
    failed = replace(first, state=VersionState.UPLOAD_FAILED)
    assert await yard.house.store.versions.update(failed)
    again = await yard.ask(upload_id="u1")
    assert again.version_id not in ("", first.version_id)


async def test_a_quota_counts_each_content_once(house: House, tmp_path: Path) -> None:
    await add_model(house.store)
    yard = Yard(house, tmp_path, quota_bytes=20_000)
    await yard.send()
    (yard.folder / "1" / "checkpoints" / "copy.bin").write_bytes(WEIGHTS)
    await yard.send()
    (yard.folder / "1" / "checkpoints" / "more.bin").write_bytes(b"1" + WEIGHTS)
    with pytest.raises(TooLarge, match="above your quota of"):
        await yard.send()
    assert yard.left() == []


async def test_a_damaged_file_of_a_version_is_asked_for_again(yard: Yard) -> None:
    version = await yard.version(await yard.send())
    digest = yard.intake.depot.get_part(version.weights_digest).files[0].digest
    path = yard.intake.depot.path_of(digest)
    path.chmod(0o644)
    path.write_bytes(b"x" * len(WEIGHTS))
    assert [one.digest for one in (await yard.ask()).missing] == [digest]
    await yard.send()
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest


async def test_two_uploads_of_the_same_content_at_once_store_it_once(yard: Yard) -> None:
    order = yard.order()
    for entry in order.files:
        await yard.put(entry, (yard.folder / entry.path).read_bytes())
    one, other = await asyncio.gather(yard.deltas.take(order), yard.deltas.take(order))
    assert one.version_id
    assert other.version_id
    assert one.version_id != other.version_id
    kept = [content.digest for content in yard.intake.depot.list_contents()]
    assert len(kept) == len(set(kept)) == len(order.files) + 2  # and the lists of the two parts


ADA = AppKey(user_id="ada", app_id="main")


def small_files(yard: Yard) -> list[tuple[str, bytes]]:
    return [
        (entry.digest, (yard.folder / entry.path).read_bytes())
        for entry in yard.order().files
        if entry.path != "1/checkpoints/w.bin"
    ]


async def test_small_files_come_in_a_bundle(yard: Yard) -> None:
    files = small_files(yard)
    assert await yard.deltas.receive_bundle(ADA, stream(write_bundle(files), size=100)) == len(files)
    assert yard.names_of(await yard.ask()) == ["1/checkpoints/w.bin"]
    assert await yard.deltas.receive_bundle(ADA, stream(write_bundle(files))) == len(files), "again: no harm"
    assert (await yard.send()).version_id
    assert yard.left() == []


async def test_what_came_whole_of_a_bundle_that_broke_stays(yard: Yard) -> None:
    files = sorted(small_files(yard), key=lambda one: len(one[1]))
    body = write_bundle(files)
    cut = len(body) - len(files[-1][1]) // 2

    async def broken() -> AsyncIterator[bytes]:
        yield body[:cut]
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await yard.deltas.receive_bundle(ADA, broken())
    missing = [one.digest for one in (await yard.ask()).missing]
    assert [digest for digest, _ in files if digest in missing] == [files[-1][0]]


async def test_a_wrong_file_in_a_bundle_is_refused_and_those_before_it_stay(yard: Yard) -> None:
    files = small_files(yard)
    body = write_bundle([files[0], (files[1][0], b"something else"), files[2]])
    with pytest.raises(InvalidRequest, match=files[1][0]):
        await yard.deltas.receive_bundle(ADA, stream(body))
    missing = [one.digest for one in (await yard.ask()).missing]
    assert [digest in missing for digest, _ in files[:3]] == [False, True, True]
    assert not any(path.suffix == ".part" for path in yard.left())


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        (b"x" * 10, InvalidRequest, "10 bytes at the end"),
        (bytes(32) + (5).to_bytes(4, "big") + b"abc", UploadIncomplete, "within a file"),
        (bytes(32) + (1 << 30).to_bytes(4, "big"), TooLarge, "at most 262144"),
    ],
)
async def test_what_is_no_bundle_is_refused(yard: Yard, body: bytes, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        await yard.deltas.receive_bundle(ADA, stream(body))
    assert yard.left() == []


async def test_a_bundle_may_not_be_too_large(yard: Yard) -> None:
    files = []
    for number in range(20):
        content = bytes([number]) * MAX_BUNDLED_BYTES
        files.append((hashlib.sha256(content).hexdigest(), content))
    with pytest.raises(TooLarge, match="a bundle has at most 4194304 bytes"):
        await yard.deltas.receive_bundle(ADA, stream(write_bundle(files), size=1 << 20))


async def test_a_bundle_of_what_another_connection_sends_waits_for_it(yard: Yard) -> None:
    entry = yard.entry("1/model.py")
    sending = yard.intake.arrivals.open(ADA, entry.digest, entry.size_bytes, offset=0)
    with sending, pytest.raises(Conflict, match="another connection"):
        await yard.deltas.receive_bundle(ADA, stream(write_bundle(small_files(yard))))
    assert (await yard.send()).version_id


async def test_what_a_user_has_sent_but_not_used_is_bounded_until_it_is_used(house: House, tmp_path: Path) -> None:
    await add_model(house.store)
    yard = Yard(house, tmp_path, arrivals_bytes=10 * LEAST_BYTES)
    assert len((await yard.ask()).missing) < 10
    waste = [(hashlib.sha256(bytes([number])).hexdigest(), bytes([number])) for number in range(11)]
    assert await yard.deltas.receive_bundle(ADA, stream(write_bundle(waste[:10]))) == 10
    with pytest.raises(TooLarge, match="of no version yet") as refused:
        await yard.deltas.receive_bundle(ADA, stream(write_bundle(waste)))
    assert "--arrivals" in refused.value.hint
    with pytest.raises(TooLarge, match="of no version yet"):
        await yard.ask()
    with pytest.raises(TooLarge, match="of no version yet"):
        await yard.put(yard.entry("1/model.py"), b"x")
    bob = AppKey(user_id="bob", app_id="main")
    assert await yard.deltas.receive_bundle(bob, stream(write_bundle(waste[:1]))) == 1, "each user has their own"
    yard.intake.arrivals.clear_abandoned(older_than_s=-1)
    assert (await yard.send()).version_id
    assert (await yard.send()).version_id, "what became a version counts no more"


async def test_files_that_come_at_once_count_before_they_are_there(house: House, tmp_path: Path) -> None:
    room = ArrivalRoom(tmp_path / "arrivals", 3 * LEAST_BYTES)
    with room.promise(ADA, 2 * LEAST_BYTES):
        with pytest.raises(TooLarge), room.promise(ADA, 2 * LEAST_BYTES):
            pass
        room.check(ADA, 1)
    room.check(ADA, 3 * LEAST_BYTES)
