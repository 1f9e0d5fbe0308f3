"""Callers who leave, and callers who do not read: what of it reaches the author's generator and the server's memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
import pytest
from clarifai_grpc.grpc.api import service_pb2_grpc

from support.folders import write_folder
from support.probe import PROBE, ProbeFiles, read_gauge, resident_bytes, rest_call, wait_still, wait_until
from support.server import V2, RunningServer, running_server
from support.uploads import deploy

CHUNK_BYTES = 64 * 1024
HELD_BYTES = 48 * 1024 * 1024
"""What may be on its way to a caller who does not read: windows of HTTP/2, of sockets, and of the worker's credit."""
MEMORY_BYTES = 96 * 1024 * 1024
"""By how much the gateway may grow meanwhile."""


@dataclass
class Site:
    server: RunningServer
    v2: V2
    files: ProbeFiles


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = write_folder(tmp_path_factory.mktemp("probe"), model=PROBE, model_id="probe", threads=4)
    with running_server(tmp_path_factory.mktemp("flow")) as server, V2(server) as v2:
        yield Site(server, v2, ProbeFiles(server, deploy(v2, folder, "probe")))


def wait_closed(site: Site, name: str, left_at: float) -> None:
    """The generator is closed, which would go on by itself for ever. benchmarks/leaving.py measures how soon."""
    wait_until(lambda: site.files.closed_at(name) is not None)
    assert (site.files.closed_at(name) or 0) >= left_at


@pytest.mark.parametrize("method", ["generate", "stream"])
def test_grpc_cancel_closes_the_generator(site: Site, method: str) -> None:
    name = f"cancel-{method}"
    if method == "generate":
        call = site.v2.generate("probe", f"{name} 0.005 10")
    else:
        call = site.v2.stream(iter([site.v2.text_request("probe", f"{name} 0.005 10")]))
    assert next(call).outputs[0].data.text.raw == "x" * 10
    left_at = time.time()
    call.cancel()
    wait_closed(site, name, left_at)


def test_grpc_connection_that_closes_ends_its_generators(site: Site) -> None:
    with V2(site.server) as v2:
        calls = [v2.generate("probe", f"gone{number} 0.005 10") for number in range(2)]
        for call in calls:
            next(call)
        left_at = time.time()
    for number in range(2):
        wait_closed(site, f"gone{number}", left_at)


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
def test_http_client_that_leaves_closes_the_generator(site: Site, accept: str) -> None:
    name = accept.replace("/", "-")
    with rest_call(site.server, "outputs/generate", f"{name} 0.005 10", accept=accept) as connection:
        assert b"200" in connection.recv(64)
        left_at = time.time()
    wait_closed(site, name, left_at)


def test_deadline_closes_the_generator(site: Site) -> None:
    left_at = time.time()
    with pytest.raises(grpc.RpcError, match="DEADLINE_EXCEEDED"):
        list(site.v2.generate("probe", "expires 0.005 10", timeout=0.5))
    wait_closed(site, "expires", left_at)


def test_request_that_is_cancelled_while_it_waits_is_never_begun(site: Site) -> None:
    def count(name: str) -> int:
        return read_gauge(site.server, f"modelyard_{name}")

    def send(text: str) -> grpc.Future:
        sent = count("in_flight") + count("waiting")
        request = site.v2.text_request("probe", text)
        call = site.v2.stub.PostModelOutputs.future(request, metadata=site.v2.metadata, timeout=120)
        wait_until(lambda: count("in_flight") + count("waiting") > sent)
        return call

    slow = []
    while not count("waiting"):
        slow.append(send(f"slow{len(slow)} slow"))
    call = send("left now")
    call.cancel()
    wait_until(lambda: count("waiting") == 1)
    site.files.open("slow")
    for one in slow:
        one.result()
    site.v2.predict("probe", "after now")
    assert not site.files.has_begun("left")


def assert_is_held(site: Site, name: str, before_bytes: int) -> None:
    """The generator stands still, after what fits into the windows on the way."""
    wait_until(lambda: site.files.made(name) > 0)
    made = wait_still(lambda: site.files.made(name))
    assert made * CHUNK_BYTES <= HELD_BYTES
    assert resident_bytes(site.server.process.pid) - before_bytes <= MEMORY_BYTES
    assert site.files.closed_at(name) is None


@pytest.mark.parametrize("method", ["generate", "stream"])
def test_grpc_client_that_does_not_read_holds_the_generator(site: Site, method: str) -> None:
    name = f"unread-{method}"
    before_bytes = resident_bytes(site.server.process.pid)
    text = f"{name} 0 {CHUNK_BYTES}"
    if method == "generate":
        call = site.v2.generate("probe", text)
    else:
        call = site.v2.stream(iter([site.v2.text_request("probe", text)]))
    assert_is_held(site, name, before_bytes)
    made = site.files.made(name)
    for _ in range(made + 100):  # who reads on finds everything in order, and the author goes on
        assert len(next(call).outputs[0].data.text.raw) == CHUNK_BYTES
    assert site.files.made(name) > made
    call.cancel()
    wait_until(lambda: site.files.closed_at(name) is not None)


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
def test_http_client_that_does_not_read_holds_the_generator(site: Site, accept: str) -> None:
    name = f"unread-{accept.replace('/', '-')}"
    before_bytes = resident_bytes(site.server.process.pid)
    with rest_call(site.server, "outputs/generate", f"{name} 0 {CHUNK_BYTES}", accept=accept):
        assert_is_held(site, name, before_bytes)
    wait_until(lambda: site.files.closed_at(name) is not None)


@contextmanager
def own_connection(site: Site) -> Iterator[service_pb2_grpc.V2Stub]:
    """A stub whose channel shares its connection with no other, as channels of one process otherwise do."""
    with grpc.insecure_channel(site.server.address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        yield service_pb2_grpc.V2Stub(channel)


def test_many_streams_that_nobody_reads_leave_other_connections_their_answers(site: Site) -> None:
    with V2(site.server) as idle, own_connection(site) as stub:
        calls = [idle.stream(iter([idle.text_request("probe", f"idle{one} 0 {CHUNK_BYTES}")])) for one in range(8)]
        wait_until(lambda: all(site.files.made(f"idle{one}") for one in range(8)))
        request = site.v2.text_request("probe", "alive now")
        answer = stub.PostModelOutputs(request, metadata=site.v2.metadata, timeout=30)
        assert answer.outputs[0].data.text.raw == "alive"
        for call in calls:
            call.cancel()
    for one in range(8):
        wait_until(lambda one=one: site.files.closed_at(f"idle{one}") is not None)
