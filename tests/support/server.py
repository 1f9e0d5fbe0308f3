"""A real `modelyard up` in its own process, for the tests that need the whole house."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import httpx
from clarifai_grpc.channel.clarifai_channel import ClarifaiChannel
from clarifai_grpc.grpc.api import resources_pb2, service_pb2, service_pb2_grpc

START_TIMEOUT_S = 60
CARRIERS = ("inloop", "pyvoy")
"""What `modelyard up --carrier` takes."""
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelyard-tests"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process of the tests at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class RunningServer:
    """One process of the server, and how to talk to it."""

    def __init__(
        self,
        data_dir: Path,
        *arguments: str,
        env: dict[str, str] | None = None,
        module: str = "modelyard.cli.main",
    ) -> None:
        self.data_dir = data_dir
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, "up", "--port", "0", "--data-dir", str(data_dir), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "UV_CACHE_DIR": str(CACHE / "uv"), **(env or {})},
        )
        self.errors: list[str] = []
        self._reader = threading.Thread(target=self._read_errors, daemon=True)
        self._reader.start()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith("ready "):
            self.process.wait(START_TIMEOUT_S)
            self._reader.join(5)
            self.close()
            raise AssertionError(f"the server did not start: {line!r}\n" + "".join(self.errors))
        self.url = line.split()[1]
        self.address = self.url.removeprefix("http://")
        server = json.loads((data_dir / "server.json").read_text())
        self.user_id: str = server["user_id"]
        self.token = (data_dir / "secrets" / "token").read_text().strip()

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self.errors.extend(self.process.stderr)

    @property
    def environment(self) -> dict[str, str]:
        """What `modelyard env` exports."""
        return {
            "CLARIFAI_API_BASE": self.url,
            "CLARIFAI_PAT": self.token,
            "CLARIFAI_USER_ID": self.user_id,
            "CLARIFAI_UI": self.url,
        }

    @property
    def is_ready(self) -> bool:
        """Does it take new requests? Not while it drains: then they are refused, or wait for nothing."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=1).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(10)
        self.close()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self._reader.join(5)
        self.close()
        return code

    def wait_until_dead(self, timeout_s: float = 60) -> int:
        """Wait for the process to end by itself (a failpoint); its exit code."""
        code = self.process.wait(timeout_s)
        self._reader.join(5)
        self.close()
        return code

    def close(self) -> None:
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()


@contextmanager
def running_server(
    data_dir: Path,
    *arguments: str,
    env: dict[str, str] | None = None,
    module: str = "modelyard.cli.main",
) -> Iterator[RunningServer]:
    """A server for the length of a block; stopped by SIGTERM unless the block ended it."""
    server = RunningServer(data_dir, *arguments, env=env, module=module)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()


def open_channel(address: str, *, retries: bool = True) -> grpc.Channel:
    """The published package's own channel, with its retries and limits; it also sets up the stub's deserialisers.

    Without retries a call to a server that died ends at once.
    """
    host, _, port = address.partition(":")
    channel = ClarifaiChannel.get_insecure_grpc_channel(base=host, port=int(port))
    if retries:
        return channel
    channel.close()
    return grpc.insecure_channel(address, options=[("grpc.enable_retries", 0)])


class V2:
    """The published gRPC stub, with a token and the ids of one app filled in."""

    def __init__(
        self, server: RunningServer, *, token: str | None = None, app_id: str = "main", retries: bool = True
    ) -> None:
        self.channel = open_channel(server.address, retries=retries)
        self.stub = service_pb2_grpc.V2Stub(self.channel)
        self.metadata = (("authorization", f"Key {token or server.token}"),)
        self.user_app = resources_pb2.UserAppIDSet(user_id=server.user_id, app_id=app_id)

    def __enter__(self) -> V2:
        return self

    def __exit__(self, *exc: object) -> None:
        self.channel.close()

    def call(self, name: str, request: object, *, timeout: float = 60) -> object:
        """One unary call."""
        return getattr(self.stub, name)(request, metadata=self.metadata, timeout=timeout)

    def text_request(self, model_id: str, *texts: str, version_id: str = "", **params: object):
        """A predict request with one text input for each of `texts`."""
        request = service_pb2.PostModelOutputsRequest(
            user_app_id=self.user_app, model_id=model_id, version_id=version_id
        )
        for text in texts:
            request.inputs.add().data.text.raw = text
        if params:
            request.model.model_version.output_info.params.update(params)
        return request

    def predict(self, model_id: str, *texts: str, timeout: float = 60, **kwargs: object):
        return self.call("PostModelOutputs", self.text_request(model_id, *texts, **kwargs), timeout=timeout)

    def generate(self, model_id: str, *texts: str, timeout: float = 60, **kwargs: object):
        request = self.text_request(model_id, *texts, **kwargs)
        return self.stub.GenerateModelOutputs(request, metadata=self.metadata, timeout=timeout)

    def stream(self, requests: Iterator[object], timeout: float = 60):
        return self.stub.StreamModelOutputs(requests, metadata=self.metadata, timeout=timeout)
