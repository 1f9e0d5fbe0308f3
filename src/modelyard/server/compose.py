"""The one place that reads settings and picks concrete classes; starts and stops everything.

Start: lock the data directory, open the store, recover what a crash left, start the loops, open the port.
Stop: close the port and let requests finish, stop the loops, stop the replicas, flush the logs, close the store.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from modelyard.errors import InvalidRequest
from modelyard.parts.depot import Depot
from modelyard.parts.environment import Environments
from modelyard.parts.launch import stage_runtime
from modelyard.parts.weights import Checkpoints
from modelyard.server.api.access import Access
from modelyard.server.api.asgi import make_app
from modelyard.server.api.rest.delta import DeltaPaths
from modelyard.server.api.rest.metrics import MetricsPage
from modelyard.server.api.v2.dispatch import V2
from modelyard.server.api.v2.health import HealthV2
from modelyard.server.api.v2.uploads import UploadsV2
from modelyard.server.backends.nvidia import NvidiaSmi
from modelyard.server.backends.processes import ProcessBackend
from modelyard.server.carriers.base import Carrier
from modelyard.server.carriers.gateways import GatewaysCarrier
from modelyard.server.carriers.inloop import InLoopCarrier
from modelyard.server.carriers.pyvoy import PyvoyCarrier
from modelyard.server.control.accelerators import AcceleratorPool
from modelyard.server.control.builds import Builds
from modelyard.server.control.caretaker import Caretaker
from modelyard.server.control.keeper import Means
from modelyard.server.control.maker import Maker
from modelyard.server.control.reconcile import Reconcile
from modelyard.server.control.supervise import keep_running
from modelyard.server.control.verdicts import Verdicts
from modelyard.server.desk import Desk, make_metrics, make_run_dir, open_desk, own_data_dir, utc_now, write_server_file
from modelyard.server.sealing import Sealer
from modelyard.server.services.arrival_room import ArrivalRoom
from modelyard.server.services.arrivals import Arrivals
from modelyard.server.services.belongings import Belongings
from modelyard.server.services.deltas import Deltas
from modelyard.server.services.late_fetch import LateFetcher
from modelyard.server.services.readiness import ReadinessService
from modelyard.server.services.upload_rows import UploadRows
from modelyard.server.services.uploads import Uploads
from modelyard.server.settings import Settings
from modelyard.server.store.sql import SqlStore
from modelyard.server.telemetry.tracing import Tracing

log = logging.getLogger(__name__)


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
        run_dir = stack.enter_context(make_run_dir(settings))
        carrier = _make_carrier(settings, run_dir)
        house = await stack.enter_async_context(_open_house(settings, run_dir, is_open=lambda: not stop.is_set()))
        app = make_app(
            house.v2,
            health=house.health,
            delta=house.delta,
            metrics=house.metrics,
            cors_origins=settings.cors_origins,
        )
        address = await carrier.start(app)
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


def _make_carrier(settings: Settings, run_dir: Path) -> Carrier:
    where: dict[str, Any] = {"host": settings.host, "port": settings.port}
    match settings.carrier:
        case "pyvoy":
            return PyvoyCarrier(run_dir=run_dir, gateways=settings.gateways, **where)
        case _ if settings.gateways > 1:
            return GatewaysCarrier(run_dir=run_dir, gateways=settings.gateways, **where)
        case _:
            return InLoopCarrier(**where)


@dataclass(frozen=True, kw_only=True)
class _House:
    v2: V2
    health: HealthV2
    delta: DeltaPaths
    metrics: MetricsPage


@asynccontextmanager
async def _open_house(settings: Settings, run_dir: Path, *, is_open: Callable[[], bool]) -> AsyncIterator[_House]:
    async with AsyncExitStack() as stack:
        store = await SqlStore.open(settings.database_url)
        stack.push_async_callback(store.close)
        fetcher = LateFetcher(settings.fetch)
        stack.push_async_callback(fetcher.aclose)
        desk = await open_desk(settings, store, fetcher, stack, _open_tracing(settings, stack))
        depot = Depot(settings.depot_dir)
        sealer = Sealer(settings.secrets_dir)
        arrivals = Arrivals(ArrivalRoom(settings.arrivals_dir, settings.uploads.arrivals_bytes))
        uploads, deltas = _make_uploads(settings, desk, depot, arrivals, sealer)
        await uploads.recover()
        backend = await _start_control(settings, stack, desk, depot, sealer, run_dir, is_open=is_open)
        caretaker = Caretaker(
            store=desk.store,
            depot=depot,
            environments=settings.environments_dir,
            clear_arrivals=arrivals.clear_abandoned,
        )
        looking = asyncio.create_task(keep_running("caretaker", caretaker.run), name="caretaker")
        stack.push_async_callback(_cancel, looking)
        handlers = desk.make_handlers() | UploadsV2(uploads).handlers()
        access = Access(desk.tokens)
        v2 = V2(access, handlers, desk.telemetry, desk.make_senders())
        readiness = ReadinessService(desk.store, desk.versions, desk.router, is_open=is_open)
        metrics = make_metrics(settings, desk, access, lambda: backend.replicas)
        yield _House(v2=v2, health=HealthV2(readiness, access), delta=DeltaPaths(v2, deltas), metrics=metrics)


def _open_tracing(settings: Settings, stack: AsyncExitStack) -> Tracing | None:
    """Who traces requests; the stack sends what is left of the spans at the end."""
    if settings.traces is None:
        return None
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        hint = "install it beside the server: pip install 'modelyard[otel]'"
        if settings.traces:
            raise InvalidRequest(f"--otlp {settings.traces}: OpenTelemetry is not installed", hint=hint)
        log.warning("traces.off reason='OTEL_* asks for them, and OpenTelemetry is not installed' next=%r", hint)
        return None
    # Its libraries are an extra, and slow to import.
    from modelyard.server.telemetry.otlp import Otlp

    otlp = Otlp(settings.traces)
    stack.push_async_callback(asyncio.to_thread, otlp.stop)
    return otlp.tracing


@asynccontextmanager
async def open_caretaker(settings: Settings) -> AsyncIterator[Caretaker]:
    """Who looks after the depot of a data directory, beside its server or without one."""
    store = await SqlStore.open(settings.database_url)
    try:
        settings.arrivals_dir.mkdir(mode=0o700, exist_ok=True)
        yield Caretaker(
            store=store,
            depot=Depot(settings.depot_dir),
            environments=settings.environments_dir,
            clear_arrivals=Arrivals(ArrivalRoom(settings.arrivals_dir)).clear_abandoned,
        )
    finally:
        await store.close()


def _make_uploads(
    settings: Settings, desk: Desk, depot: Depot, arrivals: Arrivals, sealer: Sealer
) -> tuple[Uploads, Deltas]:
    """Both ways by which versions come."""
    rows = UploadRows(
        desk.store,
        settings.uploads_dir,
        concurrent_per_user=settings.uploads.concurrent_per_user,
        sealer=sealer,
        write_line=desk.logs.append,
        now=utc_now,
    )
    belongings = Belongings(desk.store, depot, quota_bytes=settings.uploads.quota_bytes)
    folder, limits = settings.uploads_dir, settings.uploads
    uploads = Uploads(desk.store, desk.models, depot, folder, settings=limits, rows=rows, belongings=belongings)
    deltas = Deltas(
        desk.store,
        desk.models,
        depot,
        arrivals,
        folder,
        settings=limits,
        rows=rows,
        belongings=belongings,
    )
    return uploads, deltas


async def _start_control(
    settings: Settings,
    stack: AsyncExitStack,
    desk: Desk,
    depot: Depot,
    sealer: Sealer,
    run_dir: Path,
    *,
    is_open: Callable[[], bool],
) -> ProcessBackend:
    """Start the loops; the stack stops them, in the reverse order."""
    store, router, logs = desk.store, desk.router, desk.logs
    runtime = await asyncio.to_thread(stage_runtime, settings.data_dir / "runtime")
    environments = Environments(settings.environments_dir)
    backend = ProcessBackend(run_dir, runtime)
    stack.push_async_callback(backend.close)
    accelerators = AcceleratorPool(NvidiaSmi(), is_optional=settings.accelerators == "optional")
    for device in await accelerators.open():
        log.info("accelerators.found device=%s name=%r", device.device, device.name)
    means = Means(
        depot=depot,
        environments=environments,
        backend=backend,
        router=router,
        verdicts=Verdicts(store=store, count=router.count, write_line=logs.append, now=utc_now),
        accelerators=accelerators,
        write_line=logs.append,
        versions_dir=settings.versions_dir,
        default_threads=settings.default_threads,
        drain_s=settings.drain_s,
        warm_up_s=settings.warm_up_s,
        is_open=is_open,
    )
    reconcile = Reconcile(
        store=store, means=means, idle_stop_s=settings.idle_stop_s, keep_warm_s=settings.keep_warm_s, now=utc_now
    )
    builds = Builds(
        store=store,
        depot=depot,
        maker=Maker(depot, environments, Checkpoints(depot, settings.checkpoints_dir)),
        sealer=sealer,
        accelerators=accelerators,
        hub_token=settings.hub_token,
        write_line=logs.append,
        now=utc_now,
        owner=uuid.uuid4().hex,
        observe=lambda outcome, seconds: desk.telemetry.build_s.of((outcome,)).observe(seconds),
    )
    await reconcile.recover()
    stack.push_async_callback(reconcile.close)
    for name, run in (("reconcile", reconcile.run), ("builds", builds.run)):
        stack.push_async_callback(_cancel, asyncio.create_task(keep_running(name, run), name=name))
    return backend


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
