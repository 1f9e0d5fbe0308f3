"""One server with an echo model and a model of plain values, for clients that nobody changed for us."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # published.py, next to this file

from published import MIDDLE, NEW, OLD, STUBS, Published, make_published

from support.folders import write_folder
from support.server import V2, RunningServer, running_server
from support.uploads import deploy

VALUE_MODEL = """\
from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2


class Shout(ModelRunner):
    def predict(self, request):
        outputs = [
            resources_pb2.Output(data=resources_pb2.Data(string_value=one.data.text.raw.upper()))
            for one in request.inputs
        ]
        return service_pb2.MultiOutputResponse(outputs=outputs)
"""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("server")) as one:
        yield one


@pytest.fixture(scope="session")
def echo(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The id of a deployed echo model."""
    with V2(server) as v2:
        deploy(v2, write_folder(tmp_path_factory.mktemp("echo")))
    return "echo"


@pytest.fixture(scope="session")
def shout(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The id of a deployed model that answers `string_value`."""
    with V2(server) as v2:
        deploy(v2, write_folder(tmp_path_factory.mktemp("shout"), model=VALUE_MODEL, model_id="shout"), "shout")
    return "shout"


@pytest.fixture
def v2(server: RunningServer) -> Iterator[V2]:
    with V2(server) as one:
        yield one


@pytest.fixture(scope="session")
def old() -> Published:
    return make_published(OLD)


@pytest.fixture(scope="session")
def middle() -> Published:
    return make_published(MIDDLE)


@pytest.fixture(scope="session")
def new() -> Published:
    return make_published(NEW)


@pytest.fixture(scope="session")
def stubs() -> Published:
    return make_published(STUBS)
