"""The field: all contestants of a scenario, up at the same time on one core, each with its right answer checked."""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from beside import asking, environments, process
from beside.endpoint import GRPC, REST, Endpoint
from beside.payload import Payload
from beside.server import Peer, Place, find_port, make_env

START_TIMEOUT_S = 90
LAST_LINES = 12
WAKE_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One way to ask one running server."""

    server: str
    protocol: str
    port: int
    pid: int
    ask: Callable[[Payload], Endpoint]


@dataclass(kw_only=True)
class Field:
    """Who is up; who is not, and why; what each holds in memory when it is idle."""

    entries: list[Entry] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    memory_mb: dict[str, float] = field(default_factory=dict)
    pids: dict[str, int] = field(default_factory=dict)
    restless: frozenset[str] = frozenset()
    """Who works while nobody asks."""

    def sum_cpu_s(self, *, without: str = "") -> float:
        """What all, or all but one, have used of the core so far."""
        return process.sum_cpu_s(pid for name, pid in self.pids.items() if name != without)

    @contextmanager
    def turn_of(self, server: str) -> Iterator[None]:
        """While it is this server's turn, the restless others stand still."""
        if server not in self.restless:
            yield
            return
        process.signal_tree(self.pids[server], signal.SIGCONT)
        time.sleep(WAKE_S)
        try:
            yield
        finally:
            process.signal_tree(self.pids[server], signal.SIGSTOP)

    def hold_restless(self) -> None:
        for name in self.restless & set(self.pids):
            process.signal_tree(self.pids[name], signal.SIGSTOP)

    def weigh(self) -> None:
        self.memory_mb = {name: process.sum_memory_mb(pid) for name, pid in self.pids.items()}


@contextmanager
def run_field(peers: Sequence[Peer], mode: str, sample: Payload, ours: Callable[[], object]) -> Iterator[Field]:
    """All of them, for the length of a block. `ours` gives a context manager of our entries."""
    found = Field()
    pythons = _prepare(peers, found)
    peers = [peer for peer in peers if peer.environment in pythons]
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="bench-") as name:
        with ThreadPoolExecutor(len(peers) or 1) as pool:
            waiting = [
                pool.submit(_start_peer, peer, pythons[peer.environment], mode, Path(name), sample, found, stack)
                for peer in peers
            ]
            for entry in stack.enter_context(ours()):  # type: ignore[arg-type]
                found.entries.append(entry)
                found.pids[entry.server] = entry.pid
            for one in waiting:
                one.result()
        order = ["Modelyard", *(peer.name for peer in peers)]
        found.entries.sort(key=lambda entry: (order.index(entry.server), entry.protocol))
        time.sleep(1)  # what starts up in the background comes to rest
        found.weigh()
        found.restless = frozenset(peer.name for peer in peers if peer.is_restless)
        found.hold_restless()
        yield found


def _prepare(peers: Sequence[Peer], found: Field) -> dict[str, Path]:
    """The Python of each environment that installs."""
    pythons = {}
    for name in dict.fromkeys(peer.environment for peer in peers):
        try:
            pythons[name] = environments.prepare(name)
        except environments.NotInstalled as error:  # noqa: PERF203
            found.failures |= {peer.name: f"does not install: {error}" for peer in peers if peer.environment == name}
    return pythons


def _start_peer(
    peer: Peer, python: Path, mode: str, root: Path, sample: Payload, found: Field, stack: ExitStack
) -> None:
    folder = root / peer.name.replace(" ", "-").replace(",", "")
    folder.mkdir()
    port = find_port()
    grpc_port = port if peer.has_one_port else find_port()
    place = Place(python=python, port=port, grpc_port=grpc_port, folder=folder / "echo", mode=mode)
    log = folder / "log"
    server = process.start(peer.command(place), env=make_env(place, peer.env), cwd=folder, log=log)
    stack.callback(process.stop, server)
    found.pids[peer.name] = server.pid
    for protocol, ask, port in ((GRPC, peer.grpc, place.grpc_port), (REST, peer.rest, place.port)):
        if ask is None:
            continue
        try:
            asking.wait_until_right(ask(mode, sample), port, START_TIMEOUT_S)
        except Exception as error:  # noqa: BLE001  whatever a peer answers is told and the others go on
            found.failures[f"{peer.name} {protocol}"] = str(error)
            print(f"{peer.name} {protocol}: {error}", *log.read_text().splitlines()[-LAST_LINES:], sep="\n  ")
            continue
        found.entries.append(
            Entry(
                server=peer.name,
                protocol=protocol,
                port=port,
                pid=server.pid,
                ask=lambda payload, ask=ask: ask(mode, payload),  # type: ignore[misc]
            )
        )
        print(f"{peer.name} {protocol} is up", file=sys.stderr, flush=True)
