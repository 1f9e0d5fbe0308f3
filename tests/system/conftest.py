"""Servers for the whole session, one a carrier, with the echo model on them, and the parts to start others.

A test runs on inloop; one that is marked `pytest.mark.parametrize("carrier", CARRIERS)` runs on every carrier.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.folders import write_folder
from support.server import V2, RunningServer, running_server
from support.uploads import deploy


class Servers:
    """Started when a test first needs them."""

    def __init__(self, stack: ExitStack, folders: pytest.TempPathFactory) -> None:
        self._stack = stack
        self._folders = folders
        self._servers: dict[str, RunningServer] = {}
        self._echoes: dict[str, str] = {}

    def get(self, carrier: str) -> RunningServer:
        """The server on this carrier."""
        if carrier not in self._servers:
            server = running_server(self._folders.mktemp("server"), "--carrier", carrier)
            self._servers[carrier] = self._stack.enter_context(server)
        return self._servers[carrier]

    def deploy_echo(self, carrier: str) -> str:
        """The version id of the echo model on it."""
        if carrier not in self._echoes:
            with V2(self.get(carrier)) as v2:
                self._echoes[carrier] = deploy(v2, write_folder(self._folders.mktemp("echo")))
        return self._echoes[carrier]


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(stack, tmp_path_factory)


@pytest.fixture
def carrier() -> str:
    return "inloop"


@pytest.fixture
def server(servers: Servers, carrier: str) -> RunningServer:
    return servers.get(carrier)


@pytest.fixture
def echo_version(servers: Servers, carrier: str) -> str:
    """The echo model, deployed as `echo`; its version id."""
    return servers.deploy_echo(carrier)


@pytest.fixture
def v2(server: RunningServer) -> Iterator[V2]:
    with V2(server) as one:
        yield one


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "folder"
