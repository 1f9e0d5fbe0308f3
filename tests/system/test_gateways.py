"""`modelyard up --gateways N`: several processes on one port, one server."""

from __future__ import annotations

import http.client
import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import grpc
import pytest
from clarifai_grpc.grpc.api import resources_pb2, service_pb2, service_pb2_grpc

from support.folders import write_folder
from support.probe import ProbeFiles, read_gauge, wait_until
from support.server import CARRIERS, V2, RunningServer, running_server
from support.sockets import children_of, command_of, count_connections, listening_ports
from support.uploads import deploy

GATEWAYS = 3
TRIES = 200


class Gateways:
    """A server of several processes, and connections to a given one of them."""

    def __init__(self, server: RunningServer, version_id: str = "") -> None:
        self.server = server
        self.files = ProbeFiles(server, version_id)
        self.port = int(server.address.rpartition(":")[2])

    def find_fronts(self) -> list[int]:
        """The processes that only pass on."""
        children = children_of(self.server.process.pid)
        return [pid for pid in children if "carriers.front" in command_of(pid) or "bin/envoy" in command_of(pid)]

    @contextmanager
    def connect(self, pid: int) -> Iterator[http.client.HTTPConnection]:
        """A connection that this process has accepted: others are opened and kept until it does."""
        with ExitStack() as stack:
            for _ in range(TRIES):
                before = count_connections(pid, self.port)
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                stack.callback(connection.close)
                connection.request("GET", "/healthz")
                connection.getresponse().read()
                if count_connections(pid, self.port) > before:
                    yield connection
                    return
        raise AssertionError(f"process {pid} accepts nothing")

    @contextmanager
    def open_v2(self, pid: int) -> Iterator[V2]:
        """A gRPC channel to this process."""
        with ExitStack() as stack:
            for number in range(TRIES):
                before = count_connections(pid, self.port)
                v2 = V2(self.server)
                v2.channel.close()
                options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0), ("number", number)]
                v2.channel = stack.enter_context(grpc.insecure_channel(self.server.address, options=options))
                v2.stub = service_pb2_grpc.V2Stub(v2.channel)
                grpc.channel_ready_future(v2.channel).result(10)
                v2.call("ListStatusCodes", service_pb2.ListStatusCodesRequest())
                if count_connections(pid, self.port) > before:
                    yield v2
                    return
        raise AssertionError(f"process {pid} accepts nothing")


@pytest.fixture(scope="module", params=CARRIERS)
def gateways(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    folder = tmp_path_factory.mktemp("server")
    with running_server(folder, "--carrier", request.param, "--gateways", str(GATEWAYS)) as server:
        with V2(server) as v2:
            version_id = deploy(v2, write_folder(tmp_path_factory.mktemp("echo")))
        yield Gateways(server, version_id)


def predict(connection: http.client.HTTPConnection, token: str, text: str = "hi") -> tuple[int, object]:
    body = json.dumps({"inputs": [{"data": {"text": {"raw": text}}}]})
    connection.request("POST", "/v2/models/echo/outputs", body, {"authorization": f"Key {token}"})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def test_every_process_answers(gateways: Gateways) -> None:
    fronts = gateways.find_fronts()
    assert len(fronts) == (GATEWAYS if "bin/envoy" in command_of(fronts[0]) else GATEWAYS - 1)
    for pid in fronts:
        with gateways.connect(pid) as connection:
            status, answer = predict(connection, gateways.server.token)
            assert (status, answer["outputs"][0]["data"]["text"]["raw"]) == (200, "hi")


def test_revoked_token_is_dead_on_every_process_at_once(gateways: Gateways) -> None:
    server = gateways.server
    user = resources_pb2.UserAppIDSet(user_id=server.user_id)
    with ExitStack() as stack, V2(server) as v2:
        key = resources_pb2.Key(description="soon revoked", scopes=["All"])
        token = v2.call("PostKeys", service_pb2.PostKeysRequest(user_app_id=user, keys=[key])).keys[0].id
        connections = [stack.enter_context(gateways.connect(pid)) for pid in gateways.find_fronts()]
        assert [predict(one, token)[0] for one in connections] == [200] * len(connections)
        v2.call("DeleteKey", service_pb2.DeleteKeyRequest(user_app_id=user, key_id=token))
        assert [predict(one, token)[0] for one in connections] == [401] * len(connections)


def test_upload_works_through_any_process(gateways: Gateways, tmp_path: Path) -> None:
    for number, pid in enumerate(gateways.find_fronts()):
        with gateways.open_v2(pid) as v2:
            deploy(v2, write_folder(tmp_path / str(number), model_id=f"via-{number}"), f"via-{number}")
            assert v2.predict(f"via-{number}", "x").outputs[0].data.text.raw == "x"


def test_killed_process_loses_its_own_requests_alone_and_comes_back(gateways: Gateways) -> None:
    victim, other = gateways.find_fronts()[:2]
    token = gateways.server.token
    with gateways.connect(victim) as doomed, gateways.connect(other) as spared, ThreadPoolExecutor(2) as pool:
        held = [pool.submit(predict, one, token, "gate kill") for one in (doomed, spared)]
        wait_until(lambda: read_gauge(gateways.server, "modelyard_in_flight") == 2)
        os.kill(victim, signal.SIGKILL)
        with pytest.raises((OSError, http.client.HTTPException)):
            held[0].result(60)
        gateways.files.open("kill")
        status, answer = held[1].result(60)
        assert (status, answer["outputs"][0]["data"]["text"]["raw"]) == (200, "gate kill")
    wait_until(lambda: victim not in gateways.find_fronts() and len(gateways.find_fronts()) >= GATEWAYS - 1)
    for pid in gateways.find_fronts():
        with gateways.connect(pid) as connection:
            assert predict(connection, token)[0] == 200


def test_nothing_listens_but_the_port(gateways: Gateways) -> None:
    server = gateways.server
    pids = [server.process.pid, *children_of(server.process.pid)]
    assert set().union(*(listening_ports(pid) for pid in pids)) == {gateways.port}


@pytest.mark.parametrize("carrier", CARRIERS)
def test_sigterm_drains_every_process(tmp_path: Path, carrier: str) -> None:
    with running_server(tmp_path / "data", "--carrier", carrier, "--gateways", "2") as server:
        with V2(server) as v2:
            gateways = Gateways(server, deploy(v2, write_folder(tmp_path / "echo")))
        fronts = gateways.find_fronts()
        with ExitStack() as stack, ThreadPoolExecutor() as pool:
            connections = [stack.enter_context(gateways.connect(pid)) for pid in fronts]
            answers = [pool.submit(predict, one, server.token, "gate go") for one in connections]
            wait_until(lambda: read_gauge(server, "modelyard_in_flight") == len(fronts))
            stopping = pool.submit(server.stop)
            wait_until(lambda: not server.is_ready)
            gateways.files.open("go")
            assert stopping.result() == 0
            assert [one.result()[0] for one in answers] == [200] * len(fronts)
        assert [pid for pid in fronts if command_of(pid)] == []


def test_fronts_end_with_a_server_that_is_killed(tmp_path: Path) -> None:
    for carrier in CARRIERS:
        with running_server(tmp_path / carrier, "--carrier", carrier, "--gateways", "2") as server:
            fronts = Gateways(server).find_fronts()
            server.kill()
            wait_until(lambda fronts=fronts: not any(command_of(pid) for pid in fronts))
