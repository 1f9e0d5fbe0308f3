"""One worker process on this machine, with its socket in a private folder, for as long as a test run lasts."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from modelyard.config.schema import NO_BATCHING, BatchingInfo
from modelyard.errors import DeadlineExceeded, InternalError, WorkerCrashed
from modelyard.local.link import LocalLink
from modelyard.parts.launch import Launch, make_launch

CONNECT_S = 60.0
STOP_S = 5.0
POLL_S = 0.05
TAIL_LINES = 20
REPLICA = "local"
Log = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class LocalWorker:
    """A worker that is up and connected."""

    link: LocalLink
    process_id: int
    """It leads a process group of its own."""


@contextmanager
def start_worker(
    *,
    python: Path,
    runtime: Path,
    folder: Path,
    bytecode: Path,
    threads: int,
    timeout_s: float,
    log: Log,
    takes_edits: bool = False,
    batching: BatchingInfo = NO_BATCHING,
) -> Iterator[LocalWorker]:
    """Start a worker and connect to it; at the end it, and what it started, are gone.

    Args:
        python: The environment's interpreter.
        runtime: What `parts.launch.stage_runtime` returned.
        folder: The model folder.
        bytecode: Where Python keeps what it compiles, an absolute path: the author's folder stays as it is.
        threads: How many requests it takes at once.
        timeout_s: How long it may say nothing, in seconds.
        log: Takes each line that it prints.
        takes_edits: Can it be asked to reload?
        batching: Which requests it answers together.

    Raises:
        WorkerCrashed: It ended; the details have its last lines.
    """
    with tempfile.TemporaryDirectory(prefix="modelyard-run-", ignore_cleanup_errors=True) as name:
        room = Path(name)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            _listen(listener, room / "link")
            launch = make_launch(
                python=python,
                runtime=runtime,
                folder=folder,
                socket=room / "link",
                threads=threads,
                replica_id=REPLICA,
                batching=batching,
            )
            launch = launch.for_author(bytecode=bytecode, takes_edits=takes_edits)
            with _run_process(launch, log) as (process, token, tail):
                yield from _connect(listener, process, token, tail, timeout_s)


def _listen(listener: socket.socket, path: Path) -> None:
    try:
        listener.bind(str(path))
    except OSError as error:
        raise InternalError(
            f"the socket {path} cannot be made: {error}", hint="set TMPDIR to a folder with a shorter path"
        ) from None
    listener.listen(1)


def _connect(
    listener: socket.socket, process: subprocess.Popen[bytes], token: str, tail: Tail, timeout_s: float
) -> Iterator[LocalWorker]:
    try:
        with _accept(listener, process) as connection:
            link = LocalLink(connection, timeout_s=timeout_s)
            link.greet(token)
            yield LocalWorker(link=link, process_id=process.pid)
            with suppress(WorkerCrashed, DeadlineExceeded):
                link.stop()
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_S)
    except WorkerCrashed as error:
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
        tail.wait()
        raise WorkerCrashed(
            f"{error.message}: {describe_end(process.returncode)}", details="\n".join(tail.lines)
        ) from None


class Tail:
    """Hands on each line that a process prints, and keeps the last ones."""

    def __init__(self, source: IO[bytes], log: Log) -> None:
        self.lines: deque[str] = deque(maxlen=TAIL_LINES)
        self._source = source
        self._log = log
        self._thread = threading.Thread(target=self._read, name="output", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Until all is read; who holds the pipe after the worker is not waited for long."""
        self._thread.join(1.0)

    def _read(self) -> None:
        for raw in self._source:
            line = raw.decode(errors="replace").rstrip()
            self.lines.append(line)
            self._log(line)


@contextmanager
def _run_process(launch: Launch, log: Log) -> Iterator[tuple[subprocess.Popen[bytes], str, Tail]]:
    token = secrets.token_urlsafe(32)
    try:
        process = subprocess.Popen(
            launch.argv,
            env=launch.env,
            cwd=launch.cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise InternalError(f"the worker's process cannot be started: {error}") from error
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            tail = Tail(process.stdout, log)
            with suppress(BrokenPipeError), process.stdin:
                process.stdin.write(token.encode() + b"\n")
            yield process, token, tail
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            tail.wait()


def _accept(listener: socket.socket, process: subprocess.Popen[bytes]) -> socket.socket:
    """Wait for the worker to connect, as long as it lives."""
    listener.settimeout(POLL_S)
    deadline = time.monotonic() + CONNECT_S
    while time.monotonic() < deadline:
        with suppress(TimeoutError):
            return listener.accept()[0]
        if process.poll() is not None:
            raise WorkerCrashed("the worker ended before it connected")
    raise DeadlineExceeded(f"the worker did not connect within {CONNECT_S:g} s")


def describe_end(code: int | None) -> str:
    """How a process ended: `exit code 3`."""
    if code is None:
        return "it closed its connection, and still runs"
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
