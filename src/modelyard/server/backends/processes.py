"""Replicas as processes of this machine: `python -m modelyard.worker` on a unix socket, one private folder each."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from modelyard.config.schema import BatchingInfo
from modelyard.errors import InternalError
from modelyard.parts.launch import Launch, make_launch
from modelyard.server.backends.base import LogSink, ReplicaSpec
from modelyard.server.backends.link import WorkerLink
from modelyard.server.backends.process_replica import ProcessReplica
from modelyard.wire.shared import SharedMemory, make_file

log = logging.getLogger(__name__)

HELLO_S = 60.0
"""A worker that has not connected by then is ended."""
CLOSE_GRACE_S = 5.0
MAX_SOCKET_PATH_BYTES = 100
"""The kernel's limit is 107 on Linux, 103 on macOS."""


class Launcher(Protocol):
    """How to start a worker: `parts.launch.make_launch`."""

    def __call__(
        self,
        *,
        python: Path,
        runtime: Path,
        folder: Path,
        socket: Path,
        threads: int,
        replica_id: str,
        batching: BatchingInfo,
        accelerators: Sequence[str] | None,
    ) -> Launch:
        """The arguments, variables and working directory of the process."""
        ...


class ProcessBackend:
    """A `Backend`.

    Args:
        run_dir: Private folder (0700) with a short path, for sockets.
        runtime: What `parts.launch.stage_runtime` returned.
        launcher: How to start a worker.
        hello_s: How long a worker may take to connect, in seconds.
    """

    def __init__(
        self, run_dir: Path, runtime: Path, *, launcher: Launcher = make_launch, hello_s: float = HELLO_S
    ) -> None:
        self._run_dir = run_dir
        self._runtime = runtime
        self._launcher = launcher
        self._hello_s = hello_s
        self._replicas: set[ProcessReplica] = set()

    @property
    def replicas(self) -> Sequence[ProcessReplica]:
        """Those whose processes run."""
        return list(self._replicas)

    async def start(self, spec: ReplicaSpec, log: LogSink) -> ProcessReplica:
        """See `Backend.start`."""
        replica = ProcessReplica(spec, log, self._run_dir / spec.replica_id, on_gone=self._replicas.discard)
        try:
            await self._launch(replica)
        except OSError as error:
            replica.discard()
            raise InternalError(f"the worker's process cannot be started with {spec.python}: {error}") from error
        except BaseException:
            replica.discard()
            raise
        self._replicas.add(replica)
        return replica

    async def close(self) -> None:
        """See `Backend.close`."""
        await asyncio.gather(*(one.stop(grace_s=CLOSE_GRACE_S) for one in self._replicas))

    async def _launch(self, replica: ProcessReplica) -> None:
        spec = replica.spec
        socket = _make_room(replica.folder)
        loop = asyncio.get_running_loop()
        replica.listener = await loop.create_unix_server(lambda: WorkerLink(replica), str(socket))
        launch = self._launcher(
            python=spec.python,
            runtime=self._runtime,
            folder=spec.folder,
            socket=socket,
            threads=spec.threads,
            replica_id=spec.replica_id,
            batching=spec.batching,
            accelerators=spec.accelerators,
        )
        with _pipe() as (token_out, token_in), _pipe() as (lines_out, lines_in), _shared_memory() as shared:
            if shared is not None:
                replica.memory, file = shared
                launch = launch.with_memory(file)
            os.write(token_in, replica.token.encode() + b"\n")
            process = await asyncio.create_subprocess_exec(
                *launch.argv,
                env=launch.env,
                cwd=launch.cwd,
                stdin=token_out,
                stdout=lines_in,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                pass_fds=() if shared is None else shared[1:],
            )
            replica.begin(process, os.dup(lines_out), hello_s=self._hello_s)


def _make_room(folder: Path) -> Path:
    """Make the replica's private folder; returns where its socket goes."""
    socket = folder / "link"
    if len(os.fsencode(socket)) > MAX_SOCKET_PATH_BYTES:
        raise InternalError(
            f"the path of a socket may have {MAX_SOCKET_PATH_BYTES} bytes, and {socket} has more",
            hint="set TMPDIR to a folder with a shorter path",
        )
    folder.mkdir(mode=0o700)
    return socket


@contextmanager
def _shared_memory() -> Iterator[tuple[SharedMemory, int] | None]:
    """Memory for a worker, and the descriptor that its process is passed, closed at the end. None where this system has
    no such memory."""
    with ExitStack() as stack:
        shared = None
        try:
            file = make_file()
            stack.callback(os.close, file)
            shared = SharedMemory(file, is_gateway=True), file
        except OSError as error:
            log.warning("worker.shares_nothing reason=%s", error)
        yield shared


@contextmanager
def _pipe() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe, closed at the end: the process has its own copy of what it was given."""
    ends = os.pipe()
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)
