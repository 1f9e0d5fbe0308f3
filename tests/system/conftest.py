"""A server for the whole session, with the echo model on it, and the parts to start others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.folders import write_folder
from support.server import V2, RunningServer, running_server
from support.uploads import deploy


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("server")) as one:
        yield one


@pytest.fixture(scope="session")
def echo_version(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The echo model, deployed as `echo`; its version id."""
    with V2(server) as v2:
        return deploy(v2, write_folder(tmp_path_factory.mktemp("echo")))


@pytest.fixture
def v2(server: RunningServer) -> Iterator[V2]:
    with V2(server) as one:
        yield one


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "folder"
