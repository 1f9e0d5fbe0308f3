"""Processes that are no honest workers."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from modelyard.errors import InternalError
from modelyard.parts.launch import Launch
from modelyard.server.backends.base import ReplicaSpec, WorkerState, WorkerStatus
from modelyard.server.backends.process_replica import describe_exit
from modelyard.server.backends.processes import ProcessBackend
from modelyard.server.records import ModelKey

CONNECT = """
import os, socket, sys, time
from modelyard.wire.frames import *
from modelyard.wire.handshake import *
token = sys.stdin.readline().strip()
link = socket.socket(socket.AF_UNIX)
link.connect(sys.argv[1])
"""


class Impostor:
    """Starts a script of the test in place of the worker."""

    def __init__(self) -> None:
        self.script = ""

    def __call__(
        self,
        *,
        python: Path,
        runtime: Path,
        folder: Path,
        socket: Path,
        threads: int,
        replica_id: str,
        batching: object,
        accelerators: object,
    ) -> Launch:
        return Launch(
            argv=[str(python), "-c", self.script, str(socket)],
            env={"PYTHONPATH": os.pathsep.join(sys.path)},
            cwd=folder,
        )


@pytest.fixture
def impostor() -> Impostor:
    return Impostor()


@pytest.fixture
async def backend(tmp_path: Path, impostor: Impostor) -> AsyncIterator[ProcessBackend]:
    backend = ProcessBackend(tmp_path, tmp_path, launcher=impostor, hello_s=0.5)
    yield backend
    await backend.close()


@pytest.fixture
def spec(tmp_path: Path) -> ReplicaSpec:
    key = ModelKey(user_id="u", app_id="a", model_id="m")
    return ReplicaSpec(
        replica_id="r",
        version_id="v",
        key=key,
        folder=tmp_path,
        python=Path(sys.executable),
        threads=1,
        memory_bytes=None,
    )


async def run(backend: ProcessBackend, spec: ReplicaSpec) -> list[WorkerStatus]:
    replica = await backend.start(spec, lambda line: None)
    async with asyncio.timeout(15):
        return [status async for status in replica.watch()]


async def test_worker_that_never_connects_is_ended(
    backend: ProcessBackend, spec: ReplicaSpec, impostor: Impostor
) -> None:
    impostor.script = "import time; time.sleep(60)"
    seen = await run(backend, spec)
    assert [one.state for one in seen] == [WorkerState.STARTING, WorkerState.EXITED]
    assert seen[-1].message == "the worker did not connect within 0.5 s"


@pytest.mark.parametrize("hello", ["Hello(token='guess', replica_id='r')", "Hello(token=token, replica_id='other')"])
async def test_who_has_not_the_token_is_refused(
    backend: ProcessBackend, spec: ReplicaSpec, impostor: Impostor, hello: str
) -> None:
    impostor.script = f"{CONNECT}link.sendall(encode_frame(Kind.HELLO, payload={hello}.encode()))\nprint(link.recv(1))"
    seen = await run(backend, spec)
    assert [one.state for one in seen] == [WorkerState.STARTING, WorkerState.EXITED]


async def test_other_protocol_is_named(backend: ProcessBackend, spec: ReplicaSpec, impostor: Impostor) -> None:
    hello = "Hello(token=token, replica_id='r', protocol=99)"
    impostor.script = f"{CONNECT}link.sendall(encode_frame(Kind.HELLO, payload={hello}.encode()))\ntime.sleep(60)"
    assert "protocol 99" in (await run(backend, spec))[-1].message


async def test_worker_is_not_ready_before_it_was_loading(
    backend: ProcessBackend, spec: ReplicaSpec, impostor: Impostor
) -> None:
    impostor.script = (
        f"{CONNECT}link.sendall(encode_frame(Kind.HELLO, payload=Hello(token=token, replica_id='r').encode()))\n"
        "link.sendall(encode_frame(Kind.STATE, payload=State(state='ready').encode()))\nprint(link.recv(1))"
    )
    seen = await run(backend, spec)
    assert [one.state for one in seen] == [WorkerState.STARTING, WorkerState.EXITED]


async def test_path_too_long_for_a_socket_is_told(backend: ProcessBackend, spec: ReplicaSpec, tmp_path: Path) -> None:
    with pytest.raises(InternalError, match="TMPDIR"):
        await backend.start(replace(spec, replica_id="r" * 100), lambda line: None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "told"),
    [(0, "exit code 0"), (3, "exit code 3"), (-signal.SIGKILL, "SIGKILL; the kernel"), (-signal.SIGSEGV, "SIGSEGV")],
)
def test_exit_is_described(code: int, told: str) -> None:
    assert told in describe_exit(code)
