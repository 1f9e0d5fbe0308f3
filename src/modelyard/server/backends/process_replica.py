"""One worker process and all that belongs to it: its socket, its link, its output, its end.

STARTING ── hello ── LOADING ──┬── READY ──┬── LEAVING ──┐
    │                  │       └── FAILED ─┤             │
    └──────────────────┴───────────────────┴─────────────┴── EXITED
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import secrets
import shutil
import signal
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

from modelyard.errors import InternalError
from modelyard.server.backends.base import Link, LogSink, ReplicaSpec, WorkerState, WorkerStatus
from modelyard.server.backends.lines import LinePump
from modelyard.server.backends.link import WorkerLink
from modelyard.wire.frames import PROTOCOL
from modelyard.wire.handshake import Hello, State
from modelyard.wire.shared import SharedMemory

LAST_WORDS_S = 1.0
"""How long output and answers may still come after the process has ended."""
EXIT_S = 5.0
"""How long a worker that failed, or let go of its link, may take to end by itself."""
TERM_S = 0.5
TAIL_LINES = 20
_FOLLOWS = {
    WorkerState.LOADING: WorkerState.STARTING,
    WorkerState.READY: WorkerState.LOADING,
    WorkerState.LEAVING: WorkerState.READY,
    WorkerState.FAILED: WorkerState.LOADING,
}

log = logging.getLogger(__name__)


class ProcessReplica:
    """A `Replica`, and the owner of its link."""

    def __init__(
        self, spec: ReplicaSpec, sink: LogSink, folder: Path, *, on_gone: Callable[[ProcessReplica], None]
    ) -> None:
        self.spec = spec
        self.folder = folder
        self.token = secrets.token_urlsafe(32)
        self.listener: asyncio.Server | None = None
        self.memory: SharedMemory | None = None
        """What its worker was given to share."""
        self._link = WorkerLink(self)
        self._sink = sink
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._on_gone = on_gone
        self._statuses = [WorkerStatus(state=WorkerState.STARTING)]
        self._changed = asyncio.Event()
        self._gone = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._why = ""

    @property
    def link(self) -> Link:
        """See `Replica.link`."""
        return self._link

    @property
    def state(self) -> WorkerState:
        """What it last said of itself."""
        return self._statuses[-1].state

    @property
    def pid(self) -> int | None:
        """See `Replica.pid`."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def begin(self, process: asyncio.subprocess.Process, output: int, *, hello_s: float) -> None:
        """Look after a process that was just started; `output` is the reading end of what it prints."""
        self._process = process
        log.info("worker.started replica=%s version=%s", self.spec.replica_id, self.spec.version_id)
        self._task = asyncio.create_task(self._look_after(process, LinePump(output, self._take_line)))
        self._end_after(hello_s, f"the worker did not connect within {hello_s:g} s", unless=self._has_said_hello)

    def discard(self) -> None:
        """Undo what was made for a process that did not start."""
        if self.listener is not None:
            self.listener.close()
        self.memory = None
        shutil.rmtree(self.folder, ignore_errors=True)

    async def watch(self) -> AsyncIterator[WorkerStatus]:
        """See `Replica.watch`."""
        seen = len(self._statuses) - 1
        while True:
            for status in self._statuses[seen:]:
                seen += 1
                yield status
                if status.state is WorkerState.EXITED:
                    return
            if seen == len(self._statuses):
                self._changed.clear()
                await self._changed.wait()

    async def stop(self, *, grace_s: float) -> None:
        """See `Replica.stop`."""
        if not self._gone.is_set():
            self._ask_to_stop()
        if not await self._is_gone_within(grace_s):
            self._link.cut()
            self._signal(signal.SIGTERM)
        if not await self._is_gone_within(TERM_S):
            self._signal(signal.SIGKILL)
        await self._gone.wait()

    # What the link calls: `link.LinkOwner`.

    def on_hello(self, link: WorkerLink, hello: Hello) -> bool:
        """See `LinkOwner.on_hello`: the first with the token is the worker, and the door is closed behind it."""
        is_ours = hmac.compare_digest(hello.token.encode(), self.token.encode())
        if not is_ours or hello.replica_id != self.spec.replica_id or self._has_said_hello():
            return False
        if hello.protocol != PROTOCOL:
            self._end(f"the worker speaks protocol {hello.protocol}, this server {PROTOCOL}")
            return False
        self._link = link
        if self.memory is not None and hello.shares:
            link.share(self.memory)
        if self.listener is not None:
            self.listener.close()
        return True

    def on_state(self, state: State) -> None:
        """See `LinkOwner.on_state`."""
        named = WorkerState(state.state)
        if self._statuses[-1].state is not _FOLLOWS.get(named):
            raise InternalError(f"a worker cannot be {named.value} after {self._statuses[-1].state.value}")
        self._push(
            WorkerStatus(
                state=named,
                message=state.message,
                details=state.details,
                methods=state.methods,
                signatures=state.signatures,
            ),
        )
        if named is WorkerState.FAILED:
            self._end_after(EXIT_S, "", unless=self._gone.is_set)

    def on_lost(self, link: WorkerLink) -> None:
        """See `LinkOwner.on_lost`: without its link a worker is of no use."""
        if link is self._link:
            self._end_after(EXIT_S, "", unless=self._gone.is_set)

    async def _look_after(self, process: asyncio.subprocess.Process, pump: LinePump) -> None:
        try:
            code = await process.wait()
            self._signal_group(process.pid, signal.SIGKILL)
            await self._hear_last_words(pump)
            self._push(self._describe_end(code))
        finally:
            pump.close()
            self._link.abort()
            self.discard()
            for timer in self._timers:
                timer.cancel()
            self._gone.set()
            self._on_gone(self)

    async def _hear_last_words(self, pump: LinePump) -> None:
        """Answers and output that the process had sent before it ended are still read."""
        waits = [pump.ended.wait()]
        if self._has_said_hello():
            waits.append(self._link.closed.wait())
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await asyncio.gather(*waits)

    def _describe_end(self, code: int) -> WorkerStatus:
        message = self._why or describe_exit(code)
        return WorkerStatus(state=WorkerState.EXITED, message=message, details="\n".join(self._tail), exit_code=code)

    def _ask_to_stop(self) -> None:
        if self._link.is_open:
            self._link.stop_worker()
        else:
            self._signal(signal.SIGTERM)

    async def _is_gone_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._gone.wait()
        return self._gone.is_set()

    def _has_said_hello(self) -> bool:
        return self._link.is_open or self._link.closed.is_set()

    def _end_after(self, seconds: float, why: str, *, unless: Callable[[], bool]) -> None:
        def end() -> None:
            if not unless():
                self._end(why)

        self._timers.append(asyncio.get_running_loop().call_later(seconds, end))

    def _end(self, why: str) -> None:
        self._why = self._why or why
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        """Signal the process and what the author started from it, unless it has ended."""
        process = self._process
        if process is not None and process.returncode is None:
            self._signal_group(process.pid, number)

    @staticmethod
    def _signal_group(pid: int, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)

    def _take_line(self, line: str) -> None:
        self._tail.append(line)
        self._sink(line)

    def _push(self, status: WorkerStatus) -> None:
        log.info("worker.%s replica=%s version=%s", status.state.value, self.spec.replica_id, self.spec.version_id)
        self._statuses.append(status)
        self._changed.set()


def describe_exit(code: int) -> str:
    """How a process ended, for people: `the worker's process ended with exit code 3`."""
    if code >= 0:
        return f"the worker's process ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    why = "; the kernel does this when memory runs out" if code == -signal.SIGKILL else ""
    return f"the worker's process was killed by {name}{why}"
