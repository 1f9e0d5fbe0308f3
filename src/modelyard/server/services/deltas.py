"""Delta uploads: an order lists a version's files; what is missing comes piece by piece; then the order is accepted.

order ── check the list ── what of it is here? ──┬── missing ── answer: these
                                                 └── all here ── row ── check and take in ── acknowledge ── answer

An order keeps no state of its own: it is asked again after pieces were sent, after a broken connection and after a
restart of the server, and each time it is looked at anew what is here.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from modelyard.errors import Conflict, InvalidFolder, TooLarge, Unavailable
from modelyard.parts.bundle import MAX_BUNDLE_BYTES, BundleReader
from modelyard.parts.delta import Answer, Missing
from modelyard.parts.depot import Depot
from modelyard.parts.files import FileEntry
from modelyard.parts.listing import find_contradictions, find_problems
from modelyard.server import failpoints
from modelyard.server.records import AppKey, Model, ModelKey, Version, VersionState
from modelyard.server.services.arrivals import Arrival, Arrivals, link_or_copy
from modelyard.server.services.belongings import Belonging, Belongings
from modelyard.server.services.blocks import in_threads, next_block
from modelyard.server.services.intake import DECIDING, TakenIn, take_files
from modelyard.server.services.models import Models
from modelyard.server.services.upload_file import check_disk, explain_fault
from modelyard.server.services.upload_rows import UploadRows
from modelyard.server.services.versions import make_version_id
from modelyard.server.settings import UploadSettings
from modelyard.server.store.base import Store
from modelyard.server.threads import finish, in_thread, outlast, start_in_thread
from modelyard.wire.messages import ModelVersion

log = logging.getLogger(__name__)

PIECES_AT_ONCE = 32
TRIES = 100


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a version is to be made of."""

    user_id: str
    app_id: str
    model_id: str
    files: tuple[FileEntry, ...]
    spec: ModelVersion
    upload_id: str = ""
    """The same one in an order that is asked again: the answer is then the same version."""
    app_ids: frozenset[str] = frozenset()
    """The apps that the token is bound to; empty: all."""
    hub_token: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Some bytes of a file, from `offset` on."""

    owner: AppKey
    digest: str
    size_bytes: int
    """Of the whole file."""
    offset: int


@dataclass(frozen=True, kw_only=True)
class _Plan:
    arrived: dict[str, Path]
    missing: tuple[Missing, ...]


class Deltas:
    """Takes orders and pieces."""

    def __init__(
        self,
        store: Store,
        models: Models,
        depot: Depot,
        arrivals: Arrivals,
        folder: Path,
        *,
        settings: UploadSettings,
        rows: UploadRows,
        belongings: Belongings,
    ) -> None:
        self._store = store
        self._models = models
        self._depot = depot
        self._arrivals = arrivals
        self._folder = folder
        self._settings = settings
        self._rows = rows
        self._belongings = belongings
        self._pieces: Counter[str] = Counter()

    async def take(self, order: Order) -> Answer:
        """Answer an order: with what is missing, or with the version that it became.

        Raises:
            ModelNotFound: the model must be there before its versions.
            InvalidFolder, InvalidConfig: the list or the folder breaks a rule; all problems at once.
            TooLarge: above the quota, or the disk has no room.
            Conflict: this upload is being taken in right now, or the user has too many running.
        """
        model = await self._models.find(order.user_id, order.app_id, order.model_id)
        await asyncio.to_thread(_check_list, order.files)
        if accepted := await self._find_accepted(model.key, order):
            await self._forget(order)
            return Answer(version_id=accepted)
        belonging = await self._belongings.of(order.user_id, app_ids=order.app_ids)
        plan = await asyncio.to_thread(self._plan, order, belonging)
        if plan.missing:
            return Answer(missing=plan.missing)
        with self._rows.one_of_few(order.user_id):
            return Answer(version_id=await self._accept(model, order, plan))

    async def receive(self, piece: Piece, blocks: AsyncIterator[bytes]) -> int:
        """Receive a piece; how many bytes of the file are here then. What came before a broken connection stays.

        Raises:
            Conflict: the piece does not begin where the file ends, or another connection sends it.
            InvalidRequest: the bytes are more than announced, or not those of the digest.
            TooLarge: the file is above the limit, or the disk has no room.
            UploadIncomplete: nothing came for too long.
        """
        if piece.size_bytes > self._settings.max_size_bytes:
            raise TooLarge(f"the file has {piece.size_bytes} bytes; at most {self._settings.max_size_bytes} may be")
        with self._few_pieces(piece.owner.user_id):
            opened = self._arrivals.open(piece.owner, piece.digest, piece.size_bytes, offset=piece.offset)
            try:
                async with in_threads(opened) as arrival:
                    await self._write(arrival, blocks)
            except ConnectionError:
                raise
            except OSError as error:
                log.error("upload.piece_crashed digest=%s", piece.digest, exc_info=error)
                raise explain_fault(error, self._folder) from error
            return arrival.received_bytes

    async def receive_bundle(self, owner: AppKey, blocks: AsyncIterator[bytes]) -> int:
        """Receive small files in one body, each verified when it is whole; how many. What came before a broken
        connection, or before one that is wrong, stays.

        Raises:
            InvalidRequest: it is no bundle, or the bytes of a file are not those of its digest.
            Conflict: another connection sends one of the files.
            TooLarge: above a limit, or the disk has no room.
            UploadIncomplete: nothing came for too long.
        """
        reader, count, size_bytes = BundleReader(), 0, 0
        with self._few_pieces(owner.user_id):
            while block := await next_block(blocks, self._settings.idle_timeout_s):
                size_bytes += len(block)
                if size_bytes > MAX_BUNDLE_BYTES:
                    raise TooLarge(f"a bundle has at most {MAX_BUNDLE_BYTES} bytes", hint="send several")
                files = reader.feed(block)
                await in_thread(self._arrivals.put_all, owner, files)
                count += len(files)
            reader.finish()
        return count

    async def _write(self, arrival: Arrival, blocks: AsyncIterator[bytes]) -> None:
        """Write one block while the next one comes."""
        writing: asyncio.Future[None] | None = None
        try:
            while block := await next_block(blocks, self._settings.idle_timeout_s):
                if writing is not None:
                    await finish(writing)
                writing = start_in_thread(arrival.write, block)
            if writing is not None:
                await finish(writing)
        finally:
            if writing is not None:
                await outlast(writing)

    def _plan(self, order: Order, belonging: Belonging) -> _Plan:
        """What of the files is here? Of those that only others have, nothing is said."""
        owner = AppKey(user_id=order.user_id, app_id=order.app_id)
        belonging.check(order.files)
        arrived: dict[str, Path] = {}
        missing: dict[str, Missing] = {}
        for entry in order.files:
            if entry.digest in arrived or entry.digest in missing:
                continue
            if belonging.has(entry) and self._depot.keep(entry.digest, entry.size_bytes):
                continue
            if path := self._arrivals.find(owner, entry.digest, entry.size_bytes):
                arrived[entry.digest] = path
                continue
            received = self._arrivals.received_bytes(owner, entry.digest, entry.size_bytes)
            missing[entry.digest] = Missing(
                digest=entry.digest, size_bytes=entry.size_bytes, received_bytes=min(received, entry.size_bytes)
            )
        if missing:
            rest = sum(one.size_bytes - one.received_bytes for one in missing.values())
            check_disk(self._folder, rest)
            self._arrivals.check_room(owner, rest, files=len(missing))
        return _Plan(arrived=arrived, missing=tuple(missing.values()))

    async def _find_accepted(self, key: ModelKey, order: Order) -> str:
        """The version that this upload has become already; "" where it has not."""
        if not order.upload_id:
            return ""
        version = await self._store.versions.get(key, _make_id(key, order.upload_id, 0))
        number = 0
        while version is not None and version.state is VersionState.UPLOAD_FAILED:
            number += 1
            version = await self._store.versions.get(key, _make_id(key, order.upload_id, number))
        if version is not None and version.state is VersionState.UPLOADING:
            raise Conflict("this upload is being taken in", hint="ask again in a moment")
        return version.version_id if version else ""

    async def _accept(self, model: Model, order: Order, plan: _Plan) -> str:
        version = self._rows.make(model.key, order.spec, await self._choose_id(model.key, order))
        staging = self._folder / f"{version.version_id}.staging"
        await self._store.versions.add(version)
        failpoints.hit("delta.row_added")
        async with self._rows.telling(version):
            try:
                taken = await in_thread(self._take_in, version, order, plan, staging)
                failpoints.hit("delta.adopted")
                await self._rows.acknowledge(version, order.spec, taken, order.hub_token)
            finally:
                await asyncio.to_thread(shutil.rmtree, staging, ignore_errors=True)
        await self._forget(order)
        return version.version_id

    async def _forget(self, order: Order) -> None:
        """What was sent for a version that is made is in the depot, or not a part of it."""
        owner = AppKey(user_id=order.user_id, app_id=order.app_id)
        await asyncio.to_thread(self._arrivals.forget, owner, [entry.digest for entry in order.files])

    async def _choose_id(self, key: ModelKey, order: Order) -> str:
        """An id that follows from the upload's, so that the same upload never becomes two versions."""
        if not order.upload_id:
            return make_version_id()
        for number in range(TRIES):
            version_id = _make_id(key, order.upload_id, number)
            if await self._store.versions.get(key, version_id) is None:
                return version_id
        raise Conflict(f"this upload has failed {TRIES} times", hint="begin a new one")

    def _take_in(self, version: Version, order: Order, plan: _Plan, staging: Path) -> TakenIn:
        self._rows.say(version, f"{len(order.files)} files, of which {len(plan.arrived)} were sent")
        arrived = _claim(plan.arrived, staging / "arrived")
        folder = staging / "folder"
        self._stage(order, arrived, folder)

        def adopt(entries: Sequence[FileEntry]) -> None:
            self._adopt(entries, arrived, folder)

        return take_files(order.files, folder, self._depot, adopt, lambda line: self._rows.say(version, line))

    def _stage(self, order: Order, arrived: Mapping[str, Path], folder: Path) -> None:
        """The files that decide, where `take_files` looks for them."""
        folder.mkdir(parents=True)
        for entry in order.files:
            if entry.path in DECIDING:
                target = folder / entry.path
                target.parent.mkdir(exist_ok=True)
                link_or_copy(arrived.get(entry.digest) or self._depot.path_of(entry.digest), target)

    def _adopt(self, entries: Sequence[FileEntry], arrived: Mapping[str, Path], folder: Path) -> None:
        """Every file into the depot: what was sent, what was there, and what was made here of what was sent."""
        coming: dict[str, Path] = {}
        for entry in entries:
            if entry.digest in coming or self._depot.keep(entry.digest, entry.size_bytes):
                continue
            if entry.digest in arrived:
                coming[entry.digest] = arrived[entry.digest]
            elif entry.path in DECIDING:
                coming[entry.digest] = folder / entry.path
            else:
                raise Conflict(f"{entry.path} was removed from the depot meanwhile", hint="ask again")
        self._depot.adopt_all(((path, digest) for digest, path in coming.items()), is_verified=True)

    @contextmanager
    def _few_pieces(self, user_id: str) -> Iterator[None]:
        if self._pieces[user_id] >= PIECES_AT_ONCE:
            raise Unavailable(f"{PIECES_AT_ONCE} pieces of yours are coming, the most that may", hint="wait a moment")
        self._pieces[user_id] += 1
        try:
            yield
        finally:
            self._pieces[user_id] -= 1


def _claim(arrived: Mapping[str, Path], place: Path) -> dict[str, Path]:
    """A name of our own for each file that was sent. One that another upload has taken is in the depot by now."""
    place.mkdir(parents=True)
    claimed = {}
    for digest, path in arrived.items():
        with suppress(FileNotFoundError):
            link_or_copy(path, place / digest)
            claimed[digest] = place / digest
    return claimed


def _check_list(files: Sequence[FileEntry]) -> None:
    problems = find_problems([(entry.path, entry.size_bytes) for entry in files])
    problems += find_contradictions(files)
    if problems:
        raise InvalidFolder("\n".join(problems), hint="leave files out with a .modelyardignore file")


def _make_id(key: ModelKey, upload_id: str, number: int) -> str:
    named = f"{key.user_id}\0{key.app_id}\0{key.model_id}\0{upload_id}\0{number}"
    return hashlib.sha256(named.encode()).hexdigest()[:32]
