"""What every composition of the server has: a data directory of its own, and the services at its doors."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from modelyard.errors import Conflict
from modelyard.server.api.access import Access
from modelyard.server.api.rest.metrics import MetricsPage
from modelyard.server.api.v2.apps import AppsV2
from modelyard.server.api.v2.call import Handler, Sender
from modelyard.server.api.v2.deployments import DeploymentsV2
from modelyard.server.api.v2.logs import LogsV2
from modelyard.server.api.v2.model_types import ModelTypesV2
from modelyard.server.api.v2.models import ModelsV2
from modelyard.server.api.v2.outputs import OutputsV2
from modelyard.server.api.v2.status_codes import StatusCodesV2
from modelyard.server.api.v2.tokens import TokensV2
from modelyard.server.api.v2.users import UsersV2
from modelyard.server.api.v2.versions import VersionsV2
from modelyard.server.backends.base import ReplicaSpec, WorkerState
from modelyard.server.routing.queues import QueueLimits
from modelyard.server.routing.router import Router
from modelyard.server.secret_files import load_pepper, write_private
from modelyard.server.services.apps import Apps
from modelyard.server.services.deployments import Deployments
from modelyard.server.services.input_urls import Fetcher
from modelyard.server.services.logs import Logs
from modelyard.server.services.measures import Measures, Process
from modelyard.server.services.models import Models
from modelyard.server.services.predict import Predict
from modelyard.server.services.renewals import Freshness
from modelyard.server.services.targets import Targets
from modelyard.server.services.tokens import Tokens
from modelyard.server.services.users import Users
from modelyard.server.services.versions import Versions
from modelyard.server.settings import Settings
from modelyard.server.store.base import Store
from modelyard.server.telemetry.telemetry import Telemetry
from modelyard.server.telemetry.tracing import Tracing

RUN_PREFIX = "modelyard-"


def utc_now() -> datetime:
    """The clock of the whole server."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What every composition has: the store, and the services that answer from it and from the router."""

    store: Store
    telemetry: Telemetry
    logs: Logs
    users: Users
    tokens: Tokens
    router: Router
    apps: Apps
    models: Models
    versions: Versions
    deployments: Deployments
    predict: Predict

    def make_senders(self) -> dict[str, Sender]:
        """The V2 methods that can be sent without awaiting them."""
        return OutputsV2(self.predict).senders()

    def make_handlers(self) -> dict[str, Handler]:
        """The V2 methods of these services."""
        handlers: dict[str, Handler] = {}
        for noun in (
            UsersV2(self.users),
            AppsV2(self.apps),
            ModelsV2(self.models, self.versions, self.deployments),
            VersionsV2(self.versions, self.deployments),
            DeploymentsV2(self.deployments, self.versions),
            TokensV2(self.tokens),
            LogsV2(self.logs, self.versions),
            ModelTypesV2(),
            StatusCodesV2(),
            OutputsV2(self.predict),
        ):
            handlers |= noun.handlers()
        return handlers


async def open_desk(
    settings: Settings, store: Store, fetcher: Fetcher, stack: AsyncExitStack, tracing: Tracing | None = None
) -> Desk:
    """Let the first user in and make the services; the stack ends what of them runs."""
    logs = Logs(store, now=utc_now)
    logs.start()
    stack.push_async_callback(logs.aclose)
    freshness = Freshness(store.mark)
    tokens = Tokens(store, load_pepper(settings.secrets_dir), now=utc_now, freshness=freshness)
    users = Users(store, now=utc_now)
    await _admit_first_user(settings, users, tokens)
    telemetry = Telemetry(tracing)
    router = Router(queue=QueueLimits(size=settings.queue_size, size_bytes=settings.queue_bytes), telemetry=telemetry)
    apps = Apps(store, is_single_user=True, now=utc_now)
    models = Models(store, apps, now=utc_now)
    versions = Versions(store, models, now=utc_now)
    targets = Targets(versions, store.watch(), freshness=freshness)
    return Desk(
        store=store,
        telemetry=telemetry,
        logs=logs,
        users=users,
        tokens=tokens,
        router=router,
        apps=apps,
        models=models,
        versions=versions,
        deployments=Deployments(store, versions, router, now=utc_now),
        predict=Predict(store, targets, router, fetcher, hold_s=settings.hold_s, now=utc_now),
    )


class RunningReplica(Protocol):
    """A replica whose process runs."""

    @property
    def spec(self) -> ReplicaSpec: ...
    @property
    def state(self) -> WorkerState: ...
    @property
    def pid(self) -> int | None: ...


def make_metrics(
    settings: Settings, desk: Desk, access: Access, list_replicas: Callable[[], Sequence[RunningReplica]]
) -> MetricsPage:
    """The page of `GET /metrics`."""

    def list_processes() -> list[Process]:
        return [Process(version_id=one.spec.version_id, state=one.state.value, pid=one.pid) for one in list_replicas()]

    measures = Measures(desk.telemetry, desk.router, desk.store, list_processes)
    return MetricsPage(access, settings.user_id, measures.write, needs_token=settings.metrics_need_token)


async def _admit_first_user(settings: Settings, users: Users, tokens: Tokens) -> None:
    """The first start makes the user and a token; later starts find both, and make good for a store that forgot."""
    await users.ensure(settings.user_id)
    path = settings.secrets_dir / "token"
    kept = path.read_text().strip() if path.exists() else ""
    if text := await tokens.admit_bootstrap(settings.user_id, kept):
        write_private(path, text.encode())


@contextmanager
def own_data_dir(settings: Settings) -> Iterator[None]:
    """Make the data directory and hold its lock: one server a directory."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in (settings.uploads_dir, settings.arrivals_dir, settings.versions_dir, settings.secrets_dir):
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


def write_server_file(settings: Settings, address: str) -> None:
    """Say where this server is: `modelyard env` reads it."""
    content = {"url": address, "user_id": settings.user_id, "pid": os.getpid()}
    write_private(settings.server_file, json.dumps(content).encode())
