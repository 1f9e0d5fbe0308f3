"""What a contestant is: a name, an environment, a command, and the ways in which it is asked."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from beside import environments
from beside.endpoint import Endpoint
from beside.payload import Payload

ECHO, BATCH, STREAM, WAITING = "echo", "batch", "stream", "waiting"
HIDDEN = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE")


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a server is to run, and as what."""

    python: Path
    port: int
    grpc_port: int
    folder: Path
    mode: str = ECHO

    @property
    def script(self) -> Path:
        """The folder of the environment's commands."""
        return self.python.parent


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A server that is not ours."""

    name: str
    environment: str
    package: str
    command: Callable[[Place], Sequence[str]]
    """Prepares `place.folder` where it needs to, and says what to start there."""
    rest: Callable[[str, Payload], Endpoint] | None = None
    grpc: Callable[[str, Payload], Endpoint] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    modes: frozenset[str] = frozenset({ECHO})
    """Which of the models it serves here."""
    note: str = ""
    has_one_port: bool = False
    """Does it take gRPC where it takes REST?"""
    is_restless: bool = False
    """It works while nobody asks it, and is held by SIGSTOP while others are measured."""

    @property
    def version(self) -> str:
        return environments.read_version(self.environment, self.package)


def make_env(place: Place, extra: Mapping[str, str]) -> dict[str, str]:
    """The environment variables of a peer: ours without what belongs to our interpreter."""
    env = {name: value for name, value in os.environ.items() if name not in HIDDEN}
    env["PATH"] = f"{place.script}:{env.get('PATH', '')}"
    return env | {"BENCH_MODE": place.mode, **extra}


def find_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
