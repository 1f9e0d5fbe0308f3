"""The contract of a backend: somewhere that replicas run. Every adapter passes `tests/contract/test_backends.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

from modelyard.config.schema import NO_BATCHING, BatchingInfo
from modelyard.errors import ModelyardError
from modelyard.server.records import ModelKey
from modelyard.wire.pieces import Payload


@dataclass(frozen=True, kw_only=True)
class ReplicaSpec:
    """All that a backend needs to start one replica."""

    replica_id: str
    version_id: str
    key: ModelKey
    folder: Path
    """The assembled model folder (three parts put together): `1/model.py`, `config.yaml`, ..."""
    python: Path
    """The interpreter of the environment."""
    threads: int
    """How many requests the author's class takes at once: `num_threads` of the config."""
    memory_bytes: int | None
    """`cpu_memory` of the config, where it says."""
    accelerators: tuple[str, ...] | None = None
    """The devices that it sees, as `CUDA_VISIBLE_DEVICES` calls them; None: those that this process sees."""
    batching: BatchingInfo = NO_BATCHING
    """`batching` of the config."""


class WorkerState(Enum):
    """What the worker last said of itself."""

    STARTING = "starting"
    LOADING = "loading"
    READY = "ready"
    LEAVING = "leaving"
    """Somebody else has sent it SIGTERM. It answers what it is given, and goes when nothing more comes."""
    FAILED = "failed"
    """Import or `load_model` raised; `WorkerStatus` says what. The process exits."""
    EXITED = "exited"


@dataclass(frozen=True, kw_only=True)
class WorkerStatus:
    """A change of a worker's state."""

    state: WorkerState
    message: str = ""
    details: str = ""
    """The author's traceback, trimmed to their frames, for FAILED; the last lines that it printed, for EXITED."""
    methods: frozenset[str] = frozenset()
    """Of `predict generate stream`: what the author implemented, for READY."""
    signatures: str = ""
    """Of typed methods, for READY: JSON, as `wire/signatures.py` reads it. The worker's words, not yet checked."""
    exit_code: int | None = None


class Exchange(Protocol):
    """One request in flight on a link: answers come out by iterating.

    Iterating raises the `ModelyardError` that the worker or the link reports (`PredictionFailed`, `WorkerCrashed`,
    `NotImplementedByModel`, ...). An iteration that is left early must be ended by `cancel`.
    """

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Serialised `MultiOutputResponse` messages, in order. A unary call gives exactly one."""
        ...

    async def send(self, payload: Payload) -> None:
        """Send one more request message (stream only). Waits for credit where the worker reads slowly.

        Does nothing once the answers have ended: whoever iterates them is told how.
        """
        ...

    def end(self) -> None:
        """No more request messages (stream only)."""
        ...

    def cancel(self, error: ModelyardError | None = None) -> None:
        """The caller went away: tell the worker, forget the rest. Idempotent; harmless after the end.

        Whoever still iterates gets `error`, such as `DeadlineExceeded`; `Cancelled` where none is given.
        """
        ...


class Taker(Protocol):
    """Who hears how a request ends that was sent with `Link.send`: one of these is called, once, and raises nothing."""

    def take(self, answer: bytes) -> None:
        """The one answer of a `predict`."""
        ...

    def fail(self, error: ModelyardError) -> None:
        """What the worker or the link reports instead."""
        ...


class Link(Protocol):
    """A connection to one worker that carries many requests at once."""

    @property
    def is_open(self) -> bool:
        """Can it carry requests? Once False, never again True; requests then raise `WorkerCrashed`."""
        ...

    async def call(self, payload: Payload, *, time_left_s: float | None = None, is_express: bool = False) -> bytes:
        """`predict`: one serialised `PostModelOutputsRequest` in, one `MultiOutputResponse` out. Cancelling the
        awaiting task cancels the request in the worker.

        Args:
            payload: The request.
            time_left_s: Seconds until its caller gives up. The worker does not begin it later; raises
                `DeadlineExceeded`. None: the caller waits.
            is_express: Of a caller who has nothing else there: to be begun before what waits of others.
        """
        ...

    def send(
        self, payload: Payload, taker: Taker, *, time_left_s: float | None = None, is_express: bool = False
    ) -> int:
        """As `call`, without awaiting: `taker` hears how it ends, later. Raises `WorkerCrashed` where the connection is
        gone, `TooLarge`; then it hears nothing.

        Returns:
            Its number, for `recall`.
        """
        ...

    def recall(self, number: int) -> bool:
        """The caller of what was sent went away: tell the worker, forget the rest. False: it is over already."""
        ...

    def open(
        self, method: str, payload: Payload | None, *, time_left_s: float | None = None, is_express: bool = False
    ) -> Exchange:
        """`generate` with its request, or `stream` (None: messages come by `send`). The rest is as in `call`."""
        ...

    async def stats(self) -> bytes:
        """What the worker has counted since it started: `wire.stats`."""
        ...

    async def reload(self, payload: bytes) -> bytes:
        """Ask a worker that watches its folder to take edits: `wire.reload`. Others never answer."""
        ...


class Replica(Protocol):
    """A running replica."""

    @property
    def spec(self) -> ReplicaSpec:
        """What it was started from."""
        ...

    @property
    def link(self) -> Link:
        """The connection; to be asked for once READY was seen."""
        ...

    @property
    def pid(self) -> int | None:
        """Its process on this machine; None where there is none, or none here."""
        ...

    def watch(self) -> AsyncIterator[WorkerStatus]:
        """The state now, then every change; ends after EXITED. One watcher at a time."""
        ...

    async def stop(self, *, grace_s: float) -> None:
        """Ask it to finish what it holds and leave; after `grace_s` seconds, end it. Idempotent; returns when the
        process is gone."""
        ...


LogSink = Callable[[str], None]
"""Takes one line (without its end) that the worker printed. Never blocks."""


class Backend(Protocol):
    """Starts replicas."""

    async def start(self, spec: ReplicaSpec, log: LogSink) -> Replica:
        """Start one and return at once: loading is reported by `Replica.watch`. Raises `InternalError` where the
        process cannot be started at all."""
        ...

    async def close(self) -> None:
        """Stop whatever still runs."""
        ...
