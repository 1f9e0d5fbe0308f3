"""kill -9 of the gateway at each step of a rollout, and at random moments under load: what was acknowledged holds."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from pathlib import Path

import grpc
import pytest
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2 as codes

from support.folders import write_folder
from support.server import V2, RunningServer, running_server
from support.uploads import deploy, upload, wait_built

ROLLOUT = ["rollout.loaded", "rollout.answered", "rollout.switched"]
TRAFFIC = ["traffic.wanted", "traffic.ready", "traffic.settled"]
KILLS = 3
SEED = 20260105


def answer_of(v2: V2) -> str:
    answer = v2.predict("echo", "")
    assert answer.status.code == codes.SUCCESS, answer.status
    return str(answer.outputs[0].data.text.raw)


def promote(v2: V2, version: str) -> None:
    patch = resources_pb2.Deployment(id="main~echo")
    patch.desired_worker.model.model_version.id = version
    request = service_pb2.PatchDeploymentsRequest(user_app_id=v2.user_app, deployments=[patch], action="overwrite")
    assert v2.call("PatchDeployments", request).status.code == codes.SUCCESS


def wait_settled(v2: V2) -> resources_pb2.Deployment:
    request = service_pb2.GetDeploymentRequest(user_app_id=v2.user_app, deployment_id="main~echo")
    end = time.monotonic() + 60
    while True:
        found = v2.call("GetDeployment", request).deployment
        if not found.deployment_metrics.rollout_in_progress:
            return found
        assert time.monotonic() < end, found
        time.sleep(0.05)


@pytest.mark.parametrize("failpoint", ROLLOUT)
def test_kill_in_a_rollout_goes_on_after_the_restart(tmp_path: Path, failpoint: str) -> None:
    data_dir = tmp_path / "data"
    with running_server(data_dir) as server, V2(server) as v2:
        deploy(v2, write_folder(tmp_path / "1", suffix="-1"))
    server = RunningServer(data_dir, env={"MODELYARD_FAILPOINT": f"{failpoint}=kill"})
    with V2(server, retries=False) as v2:
        assert answer_of(v2) == "-1"
        version_id = upload(v2, write_folder(tmp_path / "2", suffix="-2"))
        assert server.wait_until_dead() == -9
    with running_server(data_dir) as server, V2(server) as v2:
        assert wait_built(v2, version_id).status.code == codes.MODEL_TRAINED
        assert answer_of(v2) == "-2"


@pytest.mark.parametrize("failpoint", TRAFFIC)
def test_kill_while_traffic_moves_goes_on_after_the_restart(tmp_path: Path, failpoint: str) -> None:
    data_dir = tmp_path / "data"
    with running_server(data_dir) as server, V2(server) as v2:
        versions = [deploy(v2, write_folder(tmp_path / one, suffix=f"-{one}")) for one in ("1", "2")]
    server = RunningServer(data_dir, env={"MODELYARD_FAILPOINT": f"{failpoint}=kill"})
    with V2(server, retries=False) as v2:
        assert answer_of(v2) == "-2"
        with contextlib.suppress(grpc.RpcError):
            promote(v2, "1")
        assert server.wait_until_dead() == -9
    with running_server(data_dir) as server, V2(server) as v2:
        assert wait_settled(v2).worker.model.model_version.id == versions[0]
        assert answer_of(v2) == "-1"


def test_kills_at_random_moments_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Uploads and promotions under load; after each kill every acknowledged version comes to an end, and one serves."""
    data_dir = tmp_path / "data"
    chance = random.Random(SEED)
    acknowledged: dict[str, str] = {}
    with running_server(data_dir) as server, V2(server) as v2:
        acknowledged[deploy(v2, write_folder(tmp_path / "0", suffix="-0"))] = "-0"
    for number in range(1, KILLS + 1):
        folder = write_folder(tmp_path / str(number), suffix=f"-{number}")
        server = RunningServer(data_dir)
        killer = threading.Timer(chance.uniform(0.0, 1.5), server.process.kill)
        killer.start()
        with V2(server, retries=False) as v2, contextlib.suppress(grpc.RpcError, AssertionError):
            acknowledged[upload(v2, folder)] = f"-{number}"
            promote(v2, chance.choice(list(acknowledged)))
            while True:
                answer_of(v2)
        assert server.wait_until_dead() == -9
        killer.join()
        with running_server(data_dir) as server, V2(server) as v2:
            assert answer_of(v2) in acknowledged.values()
            for version_id in acknowledged:
                assert wait_built(v2, version_id).status.code == codes.MODEL_TRAINED
            listed = service_pb2.ListModelVersionsRequest(user_app_id=v2.user_app, model_id="echo")
            for version in v2.call("ListModelVersions", listed).model_versions:
                status = wait_built(v2, version.id).status.code  # one whose acknowledgement was lost is built, too
                assert status in (codes.MODEL_TRAINED, codes.MODEL_UPLOADING_FAILED), version
            main = wait_settled(v2).worker.model.model_version.id
            answer = answer_of(v2)
            assert answer == acknowledged.get(main, answer)
            assert answer in {f"-{sent}" for sent in range(number + 1)}
