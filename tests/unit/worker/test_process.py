"""The worker as a process, seen by a gateway that is a plain socket."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import modelyard
from modelyard.wire.frames import FIRST, LAST, STREAM, Frame, FrameDecoder, Kind, encode_frame
from modelyard.wire.handshake import Hello, State
from modelyard.wire.messages import Data, Input, MultiOutputResponse, PostModelOutputsRequest, Text
from modelyard.worker.__main__ import QUIET_S

MODEL = """
import subprocess
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from modelyard.sdk.runner import ModelRunner

class Model(ModelRunner):
    def predict(self, request):
        child = subprocess.Popen(["sleep", "60"])
        output = resources_pb2.Output()
        output.data.text.raw = str(child.pid)
        return service_pb2.MultiOutputResponse(outputs=[output])

    def stream(self, requests):
        for request in requests:
            yield service_pb2.MultiOutputResponse()
"""
REQUEST = PostModelOutputsRequest(inputs=[Input(data=Data(text=Text(raw="x")))]).SerializeToString()


class Worker:
    def __init__(self, root: Path, *options: str) -> None:
        folder = root / "model"
        (folder / "1").mkdir(parents=True)
        (folder / "1" / "model.py").write_text(MODEL)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(root / "s"))
        listener.listen()
        listener.settimeout(20)
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "modelyard.worker", "--socket", str(root / "s")),
                *("--folder", str(folder), "--replica", "r", *options),
            ],
            stdin=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(Path(modelyard.__file__).parent.parent)},
        )
        assert self.process.stdin is not None
        self.process.stdin.write(b"secret\n")
        self.process.stdin.close()
        self.connection, _ = listener.accept()
        self.connection.settimeout(20)
        listener.close()
        self.decoder = FrameDecoder()
        self.frames: list[Frame] = []

    def read(self) -> Frame:
        while not self.frames:
            data = self.connection.recv(1 << 16)
            assert data, "the worker closed"
            self.frames += self.decoder.feed(data)
        return self.frames.pop(0)

    def send(self, kind: Kind, request_id: int = 0, payload: bytes = b"", flags: int = 0) -> None:
        self.connection.sendall(encode_frame(kind, request_id, payload, flags))

    def read_until_ready(self) -> None:
        assert Hello.decode(self.read().payload) == Hello(token="secret", replica_id="r")
        assert State.decode(self.read().payload).state == "loading"
        ready = State.decode(self.read().payload)
        assert (ready.state, ready.methods) == ("ready", {"predict", "stream"})


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    worker = Worker(tmp_path)
    worker.read_until_ready()
    yield worker
    worker.connection.close()
    worker.process.kill()
    worker.process.wait()


def test_a_worker_does_not_take_the_core_from_the_gateway(worker: Worker) -> None:
    threads = [int(path.name) for path in Path(f"/proc/{worker.process.pid}/task").iterdir()]
    assert len(threads) > 2
    assert {os.sched_getscheduler(one) for one in threads} == {os.SCHED_BATCH}


def test_memory_that_cannot_be_shared_is_not_missed(tmp_path: Path) -> None:
    worker = Worker(tmp_path, "--memory", "99")
    try:
        worker.read_until_ready()  # its hello says that it shares nothing
    finally:
        worker.connection.close()
        worker.process.kill()
        worker.process.wait()


def test_ping_is_answered(worker: Worker) -> None:
    worker.send(Kind.PING, 9)
    assert worker.read() == Frame(Kind.PONG, 0, 9, b"")


def test_stop_finishes_what_is_in_hand_and_refuses_more(worker: Worker) -> None:
    worker.send(Kind.REQUEST, 1, REQUEST, FIRST | STREAM)
    assert worker.read().kind is Kind.ITEM
    worker.send(Kind.STOP)
    refused = False
    for request_id in range(2, 500):
        worker.send(Kind.REQUEST, request_id, REQUEST, FIRST | LAST)
        worker.send(Kind.CANCEL, request_id)
        worker.send(Kind.PING, request_id)
        while (frame := worker.read()).kind is not Kind.PONG:
            refused = refused or frame.kind is Kind.ERROR
        if refused:
            break
    worker.send(Kind.REQUEST, 1, REQUEST, LAST)
    assert [worker.read().kind, worker.read().kind] == [Kind.ITEM, Kind.END]
    assert worker.process.wait(timeout=10) == 0


def take_leave(worker: Worker) -> None:
    worker.process.send_signal(signal.SIGTERM)
    assert State.decode(worker.read().payload).state == "leaving"


def test_sigterm_from_outside_is_told_and_refuses_nothing_that_is_under_way(worker: Worker) -> None:
    worker.send(Kind.REQUEST, 1, REQUEST, FIRST | STREAM)
    assert worker.read().kind is Kind.ITEM
    take_leave(worker)
    worker.send(Kind.REQUEST, 2, REQUEST, FIRST | STREAM)
    assert worker.read().kind is Kind.ITEM
    for request_id in (1, 2):
        worker.send(Kind.REQUEST, request_id, REQUEST, LAST)
        assert [worker.read().kind, worker.read().kind] == [Kind.ITEM, Kind.END]
    assert worker.process.wait(timeout=10) == 0


def test_who_hears_that_a_worker_leaves_may_send_it_away_at_once(worker: Worker) -> None:
    take_leave(worker)
    worker.send(Kind.STOP)
    assert worker.process.wait(timeout=QUIET_S - 0.1) == 0


@pytest.mark.parametrize("first", ["signal", "frame"])
def test_second_sigterm_does_not_wait(worker: Worker, first: str) -> None:
    worker.send(Kind.REQUEST, 1, REQUEST, FIRST | STREAM)
    worker.read()
    take_leave(worker) if first == "signal" else worker.send(Kind.STOP)
    with pytest.raises(subprocess.TimeoutExpired):
        worker.process.wait(timeout=0.2)
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(timeout=10) == 1


def test_worker_ends_when_the_gateway_is_gone(worker: Worker) -> None:
    worker.send(Kind.REQUEST, 1, REQUEST, FIRST | STREAM)
    worker.read()
    worker.connection.close()
    assert worker.process.wait(timeout=10) != 0


def test_what_the_author_started_ends_with_the_gateway_too(worker: Worker) -> None:
    worker.send(Kind.REQUEST, 1, REQUEST, FIRST | LAST)
    child = int(MultiOutputResponse.FromString(worker.read().payload).outputs[0].data.text.raw)
    watch = os.pidfd_open(child)
    worker.connection.close()
    assert worker.process.wait(timeout=10) == -signal.SIGKILL
    assert select.select([watch], [], [], 10)[0]
    os.close(watch)


def test_worker_ends_when_what_comes_are_no_frames(worker: Worker) -> None:
    worker.connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert worker.process.wait(timeout=10) != 0
