"""The other composition: one author's folder behind the doors of the server, for `modelyard run --serve`.

Doors, token check, routing and worker are those of the server. There are no uploads, no builds and no copies: the
replica runs in the folder itself, and what it needs is made by whoever calls.
"""

from __future__ import annotations

import asyncio
import signal
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from modelyard.config.schema import BatchingInfo
from modelyard.errors import Cancelled, Conflict, InvalidRequest, ModelyardError
from modelyard.parts.launch import Launch, make_launch, stage_runtime
from modelyard.server.api.access import Access
from modelyard.server.api.asgi import make_app
from modelyard.server.api.doorway.types import Application
from modelyard.server.api.v2.observed import ObservedV2, Seen
from modelyard.server.backends.process_replica import ProcessReplica
from modelyard.server.backends.processes import ProcessBackend
from modelyard.server.carriers.inloop import InLoopCarrier
from modelyard.server.control.folder_host import FolderEvents, FolderHost, FolderMeans, Prepare, Prepared
from modelyard.server.desk import Desk, make_metrics, make_run_dir, open_desk, own_data_dir, utc_now, write_server_file
from modelyard.server.records import Deployment, LogType, ModelKey, VersionState
from modelyard.server.services.late_fetch import LateFetcher
from modelyard.server.services.models import ModelFields
from modelyard.server.services.versions import make_version, pack_spec
from modelyard.server.settings import Settings
from modelyard.server.store.memory import MemoryStore

OWNER_FILE = "owner"
Paths = AsyncIterator[frozenset[str]]


class ServingEvents(FolderEvents, Protocol):
    """Who looks on, at the requests too."""

    def on_request(self, seen: Seen) -> None:
        """A request is over."""
        ...

    def on_ready(self, address: str, token: str) -> None:
        """The doors are open and the model is loaded, or an edit is waited for."""
        ...


@dataclass(frozen=True, kw_only=True)
class FolderSettings:
    """What to serve, and how."""

    server: Settings
    """`data_dir` is this folder's own; its port 0 takes a free one."""
    folder: Path
    key: ModelKey
    model_type_id: str
    runtime_dir: Path
    """Where what travels into workers is staged."""
    bytecode_dir: Path
    """Where Python keeps what it compiles: the author's folder stays as it is."""
    second_port: int | None = None
    """Taken where the first is in use."""


async def serve_folder(
    settings: FolderSettings, *, prepare: Prepare, edits: Callable[[], Paths] | None, events: ServingEvents
) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: What to serve.
        prepare: Checks the folder and makes its environment, in a thread; ends early, with Cancelled, when its event
            is set.
        edits: Files as they change, for a server that takes edits: then a model that does not load is waited for.
        events: Who looks on.

    Raises:
        Conflict: the folder is being served already.
        InvalidRequest: the port is in use.
        ModelyardError: the model does not load, where no edit can mend it.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, stop.set)
    async with AsyncExitStack() as stack:
        try:
            stack.enter_context(own_data_dir(settings.server))
        except Conflict:
            raise _already_served(settings) from None
        _forget_other_owner(settings.server)
        fetcher = LateFetcher(settings.server.fetch)
        stack.push_async_callback(fetcher.aclose)
        place = _Place(settings, await open_desk(settings.server, MemoryStore(), fetcher, stack))
        await place.make_rows()
        app = place.make_app(events, lambda: not stop.is_set() and place.is_ready())
        carrier, address = await _open_port(settings, app)
        stack.push_async_callback(carrier.stop, grace_s=settings.server.drain_s)
        write_server_file(settings.server, address)
        stack.callback(settings.server.server_file.unlink, missing_ok=True)
        host = await place.make_host(stack, prepare, events, is_watching=edits is not None)
        stack.push_async_callback(host.close)
        await _until(stop, _serve(host, edits, events, lambda: events.on_ready(address, place.read_token())))
        await carrier.stop(grace_s=settings.server.drain_s)


async def _serve(
    host: FolderHost, edits: Callable[[], Paths] | None, events: ServingEvents, announce: Callable[[], None]
) -> None:
    """Load the model, then follow edits and crashes. Edits are listened to from the beginning."""
    async with asyncio.TaskGroup() as group:
        if edits is not None:
            group.create_task(_pass_on(edits(), host))
        try:
            await host.start()
        except ModelyardError as error:
            if edits is None or isinstance(error, Cancelled):
                raise
            events.on_failed(error, is_serving=False)
        announce()
        await host.run()


async def _pass_on(edits: Paths, host: FolderHost) -> None:
    async for paths in edits:
        host.edit(paths)


async def _until(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Work until it ends, which is an error, or until told to stop."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        working.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)
    if not working.cancelled() and not stop.is_set():
        _raise_first(working.exception())


def _raise_first(error: BaseException | None) -> None:
    """Of a group of errors, the one that began it."""
    while grouped := getattr(error, "exceptions", ()):
        error = grouped[0]
    if error is not None:
        raise error


class _Place:
    """The rows and the replica of the one folder."""

    def __init__(self, settings: FolderSettings, desk: Desk) -> None:
        self._settings = settings
        self._desk = desk
        self._backend: ProcessBackend | None = None
        self._version_id = uuid.uuid5(uuid.NAMESPACE_URL, settings.folder.as_uri()).hex
        """The same at every start: what was asked by its id is found again."""

    def read_token(self) -> str:
        """The first user's token."""
        return (self._settings.server.secrets_dir / "token").read_text().strip()

    def make_app(self, events: ServingEvents, is_ready: Callable[[], bool]) -> Application:
        """The doors."""
        desk, access = self._desk, Access(self._desk.tokens)
        v2 = ObservedV2(access, desk.make_handlers(), events.on_request, desk.telemetry)
        metrics = make_metrics(self._settings.server, desk, access, self._list_replicas)
        return make_app(v2, is_ready=is_ready, metrics=metrics)

    def _list_replicas(self) -> Sequence[ProcessReplica]:
        return self._backend.replicas if self._backend else ()

    def is_ready(self) -> bool:
        """Has the folder a worker that answers?"""
        return self._desk.router.can_answer(self._version_id)

    async def make_rows(self) -> None:
        """One model with one version, which is being loaded."""
        settings, store = self._settings, self._desk.store
        await self._desk.models.create(settings.key, ModelFields(model_type_id=settings.model_type_id))
        version = make_version(settings.key, b"", utc_now(), self._version_id)
        await store.versions.add(replace(version, state=VersionState.BUILT, state_message="it is still loading"))

    async def make_host(
        self, stack: AsyncExitStack, prepare: Prepare, events: ServingEvents, *, is_watching: bool
    ) -> FolderHost:
        """What keeps the folder running."""
        settings = self._settings
        runtime = await asyncio.to_thread(stage_runtime, settings.runtime_dir)
        run_dir = stack.enter_context(make_run_dir(settings.server))
        backend = ProcessBackend(run_dir, runtime, launcher=_Launcher(settings.bytecode_dir, is_watching=is_watching))
        stack.push_async_callback(backend.close)
        self._backend = backend
        return FolderHost(
            FolderMeans(
                folder=settings.folder,
                version_id=self._version_id,
                backend=backend,
                router=self._desk.router,
                prepare=prepare,
                adopt=self._adopt,
                events=_Keeping(events, lambda line: self._desk.logs.append(self._version_id, LogType.RUN, line)),
                drain_s=settings.server.drain_s,
            )
        )

    async def _adopt(self, prepared: Prepared) -> None:
        """What was loaded is what answers from now on."""
        key, store = self._settings.key, self._desk.store
        if prepared.key != key:
            raise Conflict(
                f"config.yaml names the model {prepared.key} now, and it is served as {key}",
                hint="stop with Ctrl-C and start again to serve it under its new name",
            )
        await store.versions.set_spec(key, self._version_id, pack_spec(prepared.spec), utc_now())
        version = await self._desk.versions.get(key, self._version_id)
        deployment = Deployment(
            version_id=self._version_id, key=key, replicas=1, is_default=True, modified_at=utc_now()
        )
        if version.state is VersionState.BUILT:
            ready = replace(version, state=VersionState.READY, state_message="", completed_at=utc_now())
            await store.versions.become_ready(ready, deployment)
        else:
            await store.deployments.put(deployment)


class _Keeping:
    """Passes events on, and keeps the model's lines for `modelyard logs`."""

    def __init__(self, events: FolderEvents, keep: Callable[[str], None]) -> None:
        self._events = events
        self._keep = keep
        self.on_edit = events.on_edit
        self.on_started = events.on_started
        self.on_failed = events.on_failed
        self.on_crashed = events.on_crashed

    def on_line(self, line: str) -> None:
        self._keep(line)
        self._events.on_line(line)


class _Launcher:
    """Starts workers that keep their bytecode elsewhere and, where asked to, take edits."""

    def __init__(self, bytecode: Path, *, is_watching: bool) -> None:
        self._bytecode = bytecode
        self._is_watching = is_watching

    def __call__(
        self,
        *,
        python: Path,
        runtime: Path,
        folder: Path,
        socket: Path,
        threads: int,
        replica_id: str,
        batching: BatchingInfo,
        accelerators: Sequence[str] | None,
    ) -> Launch:
        launch = make_launch(
            python=python,
            runtime=runtime,
            folder=folder,
            socket=socket,
            threads=threads,
            replica_id=replica_id,
            batching=batching,
            accelerators=accelerators,
        )
        return launch.for_author(bytecode=self._bytecode, takes_edits=self._is_watching)


async def _open_port(settings: FolderSettings, app: Application) -> tuple[InLoopCarrier, str]:
    carrier = InLoopCarrier(host=settings.server.host, port=settings.server.port)
    try:
        return carrier, await carrier.start(app)
    except InvalidRequest:
        if settings.second_port is None:
            raise
    carrier = InLoopCarrier(host=settings.server.host, port=settings.second_port)
    return carrier, await carrier.start(app)


def _forget_other_owner(settings: Settings) -> None:
    """Where the folder was another user's before, the token of that one goes."""
    owner = settings.data_dir / OWNER_FILE
    if owner.exists() and owner.read_text() != settings.user_id:
        for path in settings.secrets_dir.iterdir():
            path.unlink()
    owner.write_text(settings.user_id)


def _already_served(settings: FolderSettings) -> Conflict:
    return Conflict(
        f"{settings.folder} is being served already",
        hint=f"stop the other one, or use it: modelyard env {settings.folder}",
    )
