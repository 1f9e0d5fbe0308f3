"""Our server as a contestant: `modelyard up` with its defaults, the folder uploaded and built as a user would."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from beside.endpoint import GRPC, REST
from beside.environments import BENCHMARKS
from beside.field import Entry
from beside.server import BATCH, ECHO, STREAM
from beside.v2 import ask_grpc, ask_rest
from support.server import V2, RunningServer, running_server
from support.uploads import deploy

NAME = "Modelyard"
MODEL_ID = "echo"
FOLDERS = {ECHO: "echo", BATCH: "batched", STREAM: "echo"}


@dataclass(frozen=True, kw_only=True)
class Ours:
    """The running server, and what is asked of it."""

    server: RunningServer

    @property
    def port(self) -> int:
        return int(self.server.address.rpartition(":")[2])

    @property
    def pid(self) -> int:
        return self.server.process.pid

    def deploy(self, mode: str, models: Sequence[str]) -> None:
        """The same folder as so many models."""
        with V2(self.server) as v2:
            for model_id in models:
                deploy(v2, BENCHMARKS / FOLDERS[mode], model_id)


@contextmanager
def run_ours(mode: str, models: Sequence[str] = (MODEL_ID,)) -> Iterator[Ours]:
    """`modelyard up` with these models, all of one folder."""
    with TemporaryDirectory(prefix="bench-ours-") as name, running_server(Path(name)) as server:
        found = Ours(server=server)
        found.deploy(mode, models)
        yield found


def enter(mode: str) -> Callable[[], object]:
    """A context manager of our entries, for a field."""

    @contextmanager
    def entries() -> Iterator[Sequence[Entry]]:
        with run_ours(mode) as ours:
            yield list_entries(ours, mode)

    return entries


def list_entries(ours: Ours, mode: str, model_id: str = MODEL_ID) -> Sequence[Entry]:
    """gRPC, and REST where the method has it."""
    token, pid = ours.server.token, ours.pid
    found = [
        Entry(
            server=NAME,
            protocol=GRPC,
            port=ours.port,
            pid=pid,
            ask=lambda payload: ask_grpc(model_id, mode, payload, token),
        )
    ]
    if mode != STREAM:
        found.append(
            Entry(
                server=NAME,
                protocol=REST,
                port=ours.port,
                pid=pid,
                ask=lambda payload: ask_rest(model_id, payload, token),
            )
        )
    return found
