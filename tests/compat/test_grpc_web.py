"""gRPC-Web by a published client: connect-web from npm, which browsers' pages use, here in Node."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from clarifai_grpc.grpc.api import service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2 as codes
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from support.server import CACHE, RunningServer

PINS = ("@connectrpc/connect@2.2.0", "@connectrpc/connect-web@2.2.0", "@bufbuild/protobuf@2.17.0")
CLIENT = Path(__file__).parent / "clients" / "grpc_web.mjs"
UNIMPLEMENTED, DEADLINE_EXCEEDED = 12, 4

pytestmark = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")


@pytest.fixture(scope="module")
def modules() -> Path:
    """The packages, installed once for all runs."""
    folder = CACHE / "npm" / "-".join(one.rpartition("@")[2] for one in PINS)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            flags = ("--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder))
            subprocess.run(["npm", "install", *flags, *PINS], check=True, capture_output=True, timeout=120)
            (folder / "complete").touch()
    return folder


def write_descriptors(path: Path) -> Path:
    """The service's file and all that it needs, each after those that it imports."""
    found = FileDescriptorSet()
    seen: set[str] = set()

    def add(descriptor: object) -> None:
        if descriptor.name not in seen:
            seen.add(descriptor.name)
            for one in descriptor.dependencies:
                add(one)
            descriptor.CopyToProto(found.file.add())

    add(service_pb2.DESCRIPTOR)
    path.write_bytes(found.SerializeToString())
    return path


def test_page_predicts_streams_and_reads_errors(
    server: RunningServer, echo: str, modules: Path, tmp_path: Path
) -> None:
    descriptors = write_descriptors(tmp_path / "v2.binpb")
    done = subprocess.run(
        ["node", CLIENT, modules / "node_modules", descriptors, server.url, server.token, server.user_id],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["predict"] == "from a page"
    assert told["generate"] == ["0:one", "1:two", "2:three"]
    assert told["refused"] == codes.CONN_KEY_INVALID
    assert told["unimplemented"][0] == UNIMPLEMENTED
    assert "ListWorkflows" in told["unimplemented"][1]
    assert told["late"] == DEADLINE_EXCEEDED
