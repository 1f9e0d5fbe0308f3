"""The one place that reads settings and picks concrete classes; starts and stops everything.

Start: lock the data directory, open the store, recover what a crash left, start the loops, open the port.
Stop: close the port and let requests finish, stop the loops, stop the replicas, flush the logs, close the store.
"""

from __future__ import annotations

import asyncio
import fcntl
import gc
import json
import logging
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from modelyard.errors import Conflict
from modelyard.parts.depot import Depot
from modelyard.parts.environment import Environments
from modelyard.parts.launch import stage_runtime
from modelyard.parts.weights import Checkpoints
from modelyard.server.api.access import Access
from modelyard.server.api.asgi import make_app
from modelyard.server.api.v2.apps import AppsV2
from modelyard.server.api.v2.call import Handler
from modelyard.server.api.v2.dispatch import V2
from modelyard.server.api.v2.logs import LogsV2
from modelyard.server.api.v2.model_types import ModelTypesV2
from modelyard.server.api.v2.models import ModelsV2
from modelyard.server.api.v2.outputs import OutputsV2
from modelyard.server.api.v2.status_codes import StatusCodesV2
from modelyard.server.api.v2.tokens import TokensV2
from modelyard.server.api.v2.uploads import UploadsV2
from modelyard.server.api.v2.users import UsersV2
from modelyard.server.api.v2.versions import VersionsV2
from modelyard.server.backends.processes import ProcessBackend
from modelyard.server.carriers import H2CornCarrier
from modelyard.server.control.builds import Builds
from modelyard.server.control.keeper import Means
from modelyard.server.control.maker import Maker
from modelyard.server.control.reconcile import Reconcile
from modelyard.server.control.supervise import keep_running
from modelyard.server.control.verdicts import Verdicts
from modelyard.server.routing.router import Router
from modelyard.server.sealing import Sealer
from modelyard.server.secret_files import load_pepper, write_private
from modelyard.server.services.apps import Apps
from modelyard.server.services.fetch import SafeFetcher
from modelyard.server.services.logs import Logs
from modelyard.server.services.models import Models
from modelyard.server.services.predict import Predict
from modelyard.server.services.targets import Targets
from modelyard.server.services.tokens import Tokens
from modelyard.server.services.uploads import Uploads
from modelyard.server.services.users import Users
from modelyard.server.services.versions import Versions
from modelyard.server.settings import Settings
from modelyard.server.store.base import Store
from modelyard.server.store.sql import SqlStore

RUN_PREFIX = "modelyard-"

log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """The clock of the whole server."""
    return datetime.now(UTC)


async def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Run the server until SIGTERM or SIGINT.

    Args:
        settings: What to run.
        announce: Called once with the address (`http://127.0.0.1:8080`) when requests are answered.

    Raises:
        Conflict: another server uses the data directory.
        InvalidRequest: the port is in use.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, stop.set)
    async with AsyncExitStack() as stack:
        stack.enter_context(own_data_dir(settings))
        house = await stack.enter_async_context(_open_house(settings))
        carrier = H2CornCarrier(host=settings.host, port=settings.port)
        address = await carrier.start(make_app(house.v2, is_ready=lambda: not stop.is_set()))
        write_server_file(settings, address)
        calm_collector()
        announce(address)
        await stop.wait()
        log.info("server.draining")
        await carrier.stop(grace_s=settings.drain_s)


def calm_collector() -> None:
    """What was made at start-up stays for ever, and requests make no cycles: look for garbage less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


@dataclass(frozen=True, kw_only=True)
class _House:
    v2: V2


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What every composition has: the store, and the services that answer from it and from the router."""

    store: Store
    logs: Logs
    users: Users
    tokens: Tokens
    router: Router
    apps: Apps
    models: Models
    versions: Versions
    predict: Predict

    def make_handlers(self) -> dict[str, Handler]:
        """The V2 methods of these services."""
        handlers: dict[str, Handler] = {}
        for noun in (
            UsersV2(self.users),
            AppsV2(self.apps),
            ModelsV2(self.models, self.versions),
            VersionsV2(self.versions),
            TokensV2(self.tokens),
            LogsV2(self.logs, self.versions),
            ModelTypesV2(),
            StatusCodesV2(),
            OutputsV2(self.predict),
        ):
            handlers |= noun.handlers()
        return handlers


@contextmanager
def own_data_dir(settings: Settings) -> Iterator[None]:
    """Make the data directory and hold its lock: one server a directory."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in (settings.uploads_dir, settings.versions_dir, settings.secrets_dir):
        folder.mkdir(mode=0o700, exist_ok=True)
    with (settings.data_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                f"another server uses the data directory {settings.data_dir}",
                hint="stop it, or give this one its own with --data-dir",
            ) from None
        yield


async def open_desk(settings: Settings, stack: AsyncExitStack) -> Desk:
    """Open the store, let the first user in, and make the services; the stack closes them."""
    store = await SqlStore.open(settings.database_url)
    stack.push_async_callback(store.close)
    logs = Logs(store, now=utc_now)
    logs.start()
    stack.push_async_callback(logs.aclose)
    tokens = Tokens(store, load_pepper(settings.secrets_dir), now=utc_now)
    users = Users(store, now=utc_now)
    await _admit_first_user(settings, users, tokens)
    router = Router(queue_size=settings.queue_size)
    apps = Apps(store, is_single_user=True, now=utc_now)
    models = Models(store, apps, now=utc_now)
    versions = Versions(store, models, now=utc_now)
    fetcher = SafeFetcher(settings.fetch)
    stack.push_async_callback(fetcher.aclose)
    return Desk(
        store=store,
        logs=logs,
        users=users,
        tokens=tokens,
        router=router,
        apps=apps,
        models=models,
        versions=versions,
        predict=Predict(store, Targets(versions, store.watch()), router, fetcher, hold_s=settings.hold_s, now=utc_now),
    )


@asynccontextmanager
async def _open_house(settings: Settings) -> AsyncIterator[_House]:
    async with AsyncExitStack() as stack:
        desk = await open_desk(settings, stack)
        depot = Depot(settings.data_dir / "depot")
        sealer = Sealer(settings.secrets_dir)
        uploads = Uploads(
            desk.store,
            desk.models,
            depot,
            settings.uploads_dir,
            settings=settings.uploads,
            sealer=sealer,
            write_line=desk.logs.append,
            now=utc_now,
        )
        await uploads.recover()
        await _start_control(settings, stack, desk.store, depot, desk.router, desk.logs, sealer)
        handlers = desk.make_handlers() | UploadsV2(uploads).handlers()
        yield _House(v2=V2(Access(desk.tokens), handlers))


async def _start_control(
    settings: Settings, stack: AsyncExitStack, store: Store, depot: Depot, router: Router, logs: Logs, sealer: Sealer
) -> None:
    """Start the loops; the stack stops them, in the reverse order."""
    runtime = await asyncio.to_thread(stage_runtime, settings.data_dir / "runtime")
    environments = Environments(settings.data_dir / "environments")
    backend = ProcessBackend(stack.enter_context(make_run_dir(settings)), runtime)
    stack.push_async_callback(backend.close)
    means = Means(
        depot=depot,
        environments=environments,
        backend=backend,
        router=router,
        verdicts=Verdicts(store=store, write_line=logs.append, now=utc_now),
        write_line=logs.append,
        versions_dir=settings.versions_dir,
        default_threads=settings.default_threads,
        drain_s=settings.drain_s,
    )
    reconcile = Reconcile(store=store, means=means, idle_stop_s=settings.idle_stop_s, now=utc_now)
    builds = Builds(
        store=store,
        depot=depot,
        maker=Maker(depot, environments, Checkpoints(depot, settings.checkpoints_dir)),
        sealer=sealer,
        hub_token=settings.hub_token,
        write_line=logs.append,
        now=utc_now,
        owner=uuid.uuid4().hex,
    )
    await builds.recover()
    await reconcile.recover()
    stack.push_async_callback(reconcile.close)
    for name, run in (("reconcile", reconcile.run), ("builds", builds.run)):
        stack.push_async_callback(_cancel, asyncio.create_task(keep_running(name, run), name=name))


@contextmanager
def make_run_dir(settings: Settings) -> Iterator[Path]:
    """A private folder with a short path, for sockets. The data directory links to it, so that the next start finds
    and removes what a crash left."""
    link = settings.data_dir / "run"
    if link.is_symlink():
        left = link.readlink()
        if left.name.startswith(RUN_PREFIX):
            shutil.rmtree(left, ignore_errors=True)
        link.unlink()
    with tempfile.TemporaryDirectory(prefix=RUN_PREFIX, ignore_cleanup_errors=True) as folder:
        link.symlink_to(folder)
        yield Path(folder)
        link.unlink(missing_ok=True)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _admit_first_user(settings: Settings, users: Users, tokens: Tokens) -> None:
    """The first start makes the user and a token; later starts find both."""
    await users.ensure(settings.user_id)
    path = settings.secrets_dir / "token"
    if not path.exists():
        _, text = await tokens.create_bootstrap(settings.user_id)
        write_private(path, text.encode())


def write_server_file(settings: Settings, address: str) -> None:
    """Say where this server is: `modelyard env` reads it."""
    content = {"url": address, "user_id": settings.user_id, "pid": os.getpid()}
    write_private(settings.server_file, json.dumps(content).encode())
