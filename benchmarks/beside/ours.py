"""Our server as a contestant: `modelyard up` with its defaults, the folder uploaded and built as a user would."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2

from beside.endpoint import GRPC, REST
from beside.environments import BENCHMARKS
from beside.field import Entry
from beside.server import BATCH, ECHO, STREAM, WAITING
from beside.v2 import ask_grpc, ask_rest
from support.server import V2, RunningServer, running_server
from support.uploads import deploy

NAME = "Modelyard"
MODEL_ID = "echo"
SCALE_TIMEOUT_S = 60
FOLDERS = {ECHO: "echo", BATCH: "batched", STREAM: "echo", WAITING: "waiting"}


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

    def scale(self, model_id: str, replicas: int) -> None:
        """So many replicas, all of them answering."""
        deployment = resources_pb2.Deployment(
            id=f"main~{model_id}",
            autoscale_config=resources_pb2.AutoscaleConfig(min_replicas=replicas, max_replicas=replicas),
        )
        ids = resources_pb2.UserAppIDSet(user_id=self.server.user_id)
        patch = service_pb2.PatchDeploymentsRequest(user_app_id=ids, deployments=[deployment], action="merge")
        get = service_pb2.GetDeploymentRequest(user_app_id=ids, deployment_id=deployment.id)
        with V2(self.server) as v2:
            answer: Any = v2.call("PatchDeployments", patch)
            assert answer.status.code == status_code_pb2.SUCCESS, answer.status
            end = time.monotonic() + SCALE_TIMEOUT_S
            while time.monotonic() < end:
                answer = v2.call("GetDeployment", get)
                if answer.deployment.deployment_metrics.live_replicas == replicas:
                    return
                time.sleep(0.1)
        raise AssertionError(f"{model_id} has no {replicas} replicas after {SCALE_TIMEOUT_S} s: {answer}")


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
