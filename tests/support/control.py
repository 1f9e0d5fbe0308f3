"""Control loops over a real store, depot and router; only uv and the workers are stood in for, by scripted objects."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from modelyard.errors import Cancelled
from modelyard.parts.depot import Depot
from modelyard.parts.environment import Environment
from modelyard.parts.files import FileEntry, Part
from modelyard.parts.lock import Lock
from modelyard.parts.requirements import parse_requirements
from modelyard.parts.weights import Checkpoints
from modelyard.server.backends.accelerators import Accelerator
from modelyard.server.backends.base import LogSink, ReplicaSpec, WorkerState, WorkerStatus
from modelyard.server.control.accelerators import AcceleratorPool
from modelyard.server.control.builds import Builds
from modelyard.server.control.keeper import Means
from modelyard.server.control.maker import Maker
from modelyard.server.control.memory import MachineMemory
from modelyard.server.control.reconcile import Reconcile
from modelyard.server.control.verdicts import Verdicts
from modelyard.server.records import Deployment, LogType, ModelKey, Version, VersionState
from modelyard.server.routing.router import Router
from modelyard.server.sealing import Sealer
from modelyard.server.store.sql import SqlStore
from modelyard.wire.messages import PostModelOutputsRequest
from support.folders import CONFIG
from support.replicas import EchoLink, echo
from support.stores import add_model, make_build, make_deployment, make_version, open_store

TIMEOUT_S = 5.0
METHODS = frozenset({"predict"})


async def until(
    condition: Callable[[], Awaitable[object]] | Callable[[], object], timeout_s: float = TIMEOUT_S
) -> None:
    """Wait until the condition (a function, or a coroutine function) holds."""
    async with asyncio.timeout(timeout_s):
        while True:
            found = condition()
            if await found if isinstance(found, Awaitable) else found:
                return
            await asyncio.sleep(0.003)


class ScriptedEnvironments:
    """Installs nothing. `on_lock` and `on_install` are called in the builder's thread, and may raise."""

    def __init__(self) -> None:
        self.locked: list[tuple[str, str]] = []
        self.installed: set[str] = set()
        self.on_lock: Callable[[], None] = lambda: None
        self.on_install: Callable[[], None] = lambda: None
        self.entered = threading.Event()
        self.left = threading.Event()
        self.blocks = False
        """Wait in `install` until `stop` is set, as uv does while it downloads."""

    def lock(
        self, requirements_text: str, python_version: str, log: LogSink, *, stop: threading.Event | None = None
    ) -> Lock:
        log("Resolving")
        _check(stop)
        self.locked.append((requirements_text, python_version))
        self.on_lock()
        return Lock(text="", python_version="3.11.7", requirements=parse_requirements(requirements_text))

    def install(self, lock: Lock, log: LogSink, *, stop: threading.Event | None = None) -> Environment:
        log("Installing")
        _check(stop)
        self.entered.set()
        self.on_install()
        if self.blocks:
            assert stop is not None
            assert stop.wait(TIMEOUT_S), "nobody stopped the build"
            log("Stopped")
            self.left.set()
            raise Cancelled("the build was stopped")
        self.installed.add(lock.digest)
        return Environment(digest=lock.digest, python=Path("python"))

    def get(self, digest: str) -> Environment | None:
        return Environment(digest=digest, python=Path("python")) if digest in self.installed else None


def _check(stop: threading.Event | None) -> None:
    if stop is not None and stop.is_set():
        raise Cancelled("the build was stopped")


class ScriptedReplica:
    """A worker that says what the test tells it to say."""

    def __init__(self, spec: ReplicaSpec) -> None:
        self.spec = spec
        self.link = EchoLink(self._answer)
        self.answer = echo
        """What it answers; may raise."""
        self.is_gone = asyncio.Event()
        self.pid: int | None = None
        self.stops = 0
        self._statuses: asyncio.Queue[WorkerStatus] = asyncio.Queue()

    def _answer(self, request: PostModelOutputsRequest) -> list[bytes]:
        return self.answer(request)

    def say(self, state: WorkerState, message: str = "", details: str = "", exit_code: int | None = None) -> None:
        methods = METHODS if state is WorkerState.READY else frozenset()
        self._statuses.put_nowait(
            WorkerStatus(state=state, message=message, details=details, methods=methods, exit_code=exit_code)
        )

    def ready(self) -> None:
        self.say(WorkerState.READY)

    def fail(self, message: str = "load_model raised ValueError: no", details: str = "line 3: no") -> None:
        """As a worker whose author's code raised: it says so, and exits."""
        self.say(WorkerState.FAILED, message, details)
        self.exit(1)

    def exit(self, code: int = -9) -> None:
        self.link.is_open = False
        self.is_gone.set()
        self.say(WorkerState.EXITED, exit_code=code)

    async def watch(self) -> AsyncIterator[WorkerStatus]:
        while True:
            status = await self._statuses.get()
            yield status
            if status.state is WorkerState.EXITED:
                return

    async def stop(self, *, grace_s: float) -> None:
        await asyncio.sleep(0)
        self.stops += 1
        if not self.is_gone.is_set():
            self.exit(0)


class ScriptedBackend:
    """Starts scripted replicas; `script` is run on each new one."""

    def __init__(self) -> None:
        self.replicas: list[ScriptedReplica] = []
        self.script: Callable[[ScriptedReplica], None] = lambda _replica: None
        self.on_start: Callable[[], None] = lambda: None

    async def start(self, spec: ReplicaSpec, log: LogSink) -> ScriptedReplica:
        self.on_start()
        log("started")
        replica = ScriptedReplica(spec)
        self.replicas.append(replica)
        replica.say(WorkerState.STARTING)
        replica.say(WorkerState.LOADING)
        self.script(replica)
        return replica

    async def close(self) -> None:
        return

    def of(self, version_id: str) -> list[ScriptedReplica]:
        return [one for one in self.replicas if one.spec.version_id == version_id]

    @property
    def running(self) -> list[ScriptedReplica]:
        return [one for one in self.replicas if not one.is_gone.is_set()]


class Devices:
    """A detector that knows what there is; nothing unless it is told."""

    def __init__(self, *names: str, memory_gib: int = 24) -> None:
        self.found = [
            Accelerator(device=f"GPU-{number}", name=name, memory_bytes=memory_gib * 2**30)
            for number, name in enumerate(names)
        ]

    def list(self) -> Sequence[Accelerator]:
        return self.found


@dataclass
class ControlRoom:
    """The loops' parts, and what they wrote."""

    store: SqlStore
    folder: Path
    environments: ScriptedEnvironments = field(default_factory=ScriptedEnvironments)
    backend: ScriptedBackend = field(default_factory=ScriptedBackend)
    lines: list[tuple[str, LogType, str]] = field(default_factory=list)
    idle_stop_s: float = 60.0
    keep_warm_s: float = 60.0
    memory: MachineMemory = field(default_factory=MachineMemory)
    environ: dict[str, str] = field(default_factory=dict)
    """Where checkpoints come from: HF_ENDPOINT."""

    def __post_init__(self) -> None:
        self.accelerators = AcceleratorPool(Devices(), is_optional=True)
        self.depot = Depot(self.folder / "depot")
        self.sealer = Sealer(self.folder)
        self.checkpoints = Checkpoints(self.depot, self.folder / "checkpoints", environ=self.environ, retry_wait_s=0.01)
        self.router = Router()
        self.versions_dir = self.folder / "versions"
        self.versions_dir.mkdir()
        self.verdicts = Verdicts(store=self.store, count=self.router.count, write_line=self.write_line, now=self.now)
        self.means = Means(
            depot=self.depot,
            environments=self.environments,
            backend=self.backend,
            router=self.router,
            verdicts=self.verdicts,
            accelerators=self.accelerators,
            write_line=self.write_line,
            versions_dir=self.versions_dir,
            default_threads=1,
            drain_s=TIMEOUT_S,
            back_off_s=(0.01,) * 4,
        )

    def now(self) -> datetime:
        return datetime.now(UTC)

    def write_line(self, version_id: str, log_type: LogType, line: str) -> None:
        self.lines.append((version_id, log_type, line))

    def log_of(self, version_id: str, log_type: LogType = LogType.BUILD) -> list[str]:
        return [line for one, kind, line in self.lines if (one, kind) == (version_id, log_type)]

    def make_builds(self, owner: str = "me", *, now: Callable[[], datetime] | None = None) -> Builds:
        return Builds(
            store=self.store,
            depot=self.depot,
            maker=Maker(self.depot, self.environments, self.checkpoints),
            sealer=self.sealer,
            accelerators=self.accelerators,
            write_line=self.write_line,
            now=now or self.now,
            owner=owner,
        )

    def make_reconcile(self) -> Reconcile:
        return Reconcile(
            store=self.store,
            means=self.means,
            idle_stop_s=self.idle_stop_s,
            keep_warm_s=self.keep_warm_s,
            now=self.now,
            memory=self.memory,
        )

    def add_code(self, **texts: str) -> str:
        """A code part in the depot; its digest."""
        files = {
            "1/model.py": "print()\n",
            "requirements.txt": "six==1.16.0\n",
            "config.yaml": CONFIG.format(model_id="m", user_id="ada", threads=2),
            **{name.replace("_", "."): text for name, text in texts.items()},
        }
        entries = [
            FileEntry(path=path, digest=self.depot.add_bytes(text.encode()), size_bytes=len(text))
            for path, text in files.items()
        ]
        return self.depot.add_part(Part(entries))

    async def add_upload(self, version_id: str, code: str | None = None, *, token: str = "") -> Version:
        """An acknowledged upload: a version and its queued job."""
        version = await self.store.versions.add(make_version(version_id, state=VersionState.UPLOADING))
        uploaded = replace(version, state=VersionState.UPLOADED, code_digest=code or self.add_code())
        job = replace(make_build(uploaded), sealed_token=self.sealer.seal(token, owner=version_id))
        assert await self.store.versions.acknowledge_upload(uploaded, job)
        return uploaded

    async def add_built(
        self,
        version_id: str,
        state: VersionState = VersionState.BUILT,
        *,
        is_default: bool = False,
        replicas: int = 1,
        key: ModelKey | None = None,
        spec: bytes = b"",
    ) -> Version:
        """A version whose build is done, and its deployment."""
        digest = "e" * 64
        self.environments.installed.add(digest)
        version = await self.store.versions.add(make_version(version_id, key, state, spec))
        version = replace(version, code_digest=self.add_code(), environment_digest=digest)
        assert await self.store.versions.update(version)
        await self.store.deployments.put(make_deployment(version, is_default=is_default, replicas=replicas))
        return version

    async def get_version(self, version_id: str) -> Version:
        version = await self.store.versions.get_by_id(version_id)
        assert version is not None
        return version

    async def state_of(self, version_id: str) -> VersionState:
        return (await self.get_version(version_id)).state

    async def has_state(self, version_id: str, state: VersionState) -> bool:
        return await self.state_of(version_id) is state

    async def deployment_of(self, version_id: str) -> Deployment:
        deployment = await self.store.deployments.get(version_id)
        assert deployment is not None
        return deployment


@asynccontextmanager
async def open_room(folder: Path) -> AsyncIterator[ControlRoom]:
    """A room with the model `ada/main/m`."""
    async with open_store(folder) as store:
        await add_model(store)
        yield ControlRoom(store, folder)


@asynccontextmanager
async def running(*loops: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Run loops for the time of the block."""
    tasks = [asyncio.ensure_future(loop()) for loop in loops]
    try:
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
