"""A model that tells, by files in its folder, what of its code ran; requests and answers whose end the test decides."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from support.server import RunningServer

PROBE = """\
import time
from pathlib import Path

from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2


def reply(text):
    output = resources_pb2.Output()
    output.data.text.raw = text
    return service_pb2.MultiOutputResponse(outputs=[output])


def text_of(request):
    return request.inputs[0].data.text.raw


class Probe(ModelRunner):
    def predict(self, request):
        name, until = text_of(request).split()
        Path(f"begun-{name}").touch()
        while until != "now" and not Path(f"open-{until}").exists():
            time.sleep(0.005)
        return reply(name)

    def generate(self, request):
        name, pause, size = text_of(request).split()
        return self.make(name, float(pause), int(size))

    def stream(self, requests):
        name, pause, size = text_of(next(iter(requests))).split()
        return self.make(name, float(pause), int(size))

    def make(self, name, pause, size):
        number = 0
        try:
            while True:
                number += 1
                Path(f"made-{name}.new").write_text(str(number))
                Path(f"made-{name}.new").rename(f"made-{name}")
                yield reply("x" * size)
                time.sleep(pause)
        finally:
            Path(f"closed-{name}").write_text(repr(time.time()))
"""


class ProbeFiles:
    """What the model's code has told, and the gates that its answers wait for.

    A predict of "NAME now" answers at once, one of "NAME GATE" when that gate is open; so does the echo model, asked
    for "gate GATE".
    """

    def __init__(self, server: RunningServer, version_id: str) -> None:
        self.folder = server.data_dir / "versions" / version_id

    def has_begun(self, name: str) -> bool:
        return (self.folder / f"begun-{name}").exists()

    def open(self, gate: str) -> None:
        """Let the answers go that wait for this gate."""
        (self.folder / f"open-{gate}").touch()

    def made(self, name: str) -> int:
        path = self.folder / f"made-{name}"
        return int(path.read_text()) if path.exists() else 0

    def closed_at(self, name: str) -> float | None:
        path = self.folder / f"closed-{name}"
        text = path.read_text() if path.exists() else ""
        return float(text) if text else None


def read_gauge(server: RunningServer, name: str) -> int:
    """A number of `/metrics`, over all models."""
    lines = httpx.get(f"{server.url}/metrics", timeout=60).text.splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith(f"{name}{{"))


def wait_until(condition: Callable[[], object], timeout_s: float = 60) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def wait_still(value: Callable[[], int], still_s: float = 1.0, timeout_s: float = 60) -> int:
    """The value once it has not changed for so long."""
    end = time.monotonic() + timeout_s
    last, since = value(), time.monotonic()
    while time.monotonic() - since < still_s:
        assert time.monotonic() < end, f"it goes on and on: {last}"
        time.sleep(0.02)
        if value() != last:
            last, since = value(), time.monotonic()
    return last


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in RAM."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


@contextmanager
def rest_call(
    server: RunningServer, method: str, text: str, *, token: str = "", model_id: str = "probe", **headers: str
) -> Iterator[socket.socket]:
    """A request over HTTP/1.1 whose answer has not been read; closed at the end. `method`: as in the path."""
    host, _, port = server.address.partition(":")
    body = json.dumps({"inputs": [{"data": {"text": {"raw": text}}}]}).encode()
    lines = [
        f"POST /v2/users/{server.user_id}/apps/main/models/{model_id}/{method} HTTP/1.1",
        f"host: {server.address}",
        f"authorization: Key {token or server.token}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        yield connection


def read_answer(connection: socket.socket) -> tuple[int, dict[str, str], dict]:
    """Status, headers and JSON of an answer with a content-length."""
    file = connection.makefile("rb")
    status = int(file.readline().split()[1])
    headers = {}
    while line := file.readline().strip():
        name, _, value = line.decode().partition(": ")
        headers[name.lower()] = value
    return status, headers, json.loads(file.read(int(headers["content-length"])))
