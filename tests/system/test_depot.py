"""`modelyard depot` beside a running server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from clarifai_grpc.grpc.api import service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2 as codes

from support.folders import write_folder
from support.server import V2, RunningServer
from support.uploads import deploy


def run_depot(server: RunningServer, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    argv = [sys.executable, "-m", "modelyard.cli.main", "depot", *arguments, "--data-dir", str(server.data_dir)]
    return subprocess.run(argv, capture_output=True, text=True, env={**os.environ, **(env or {})}, timeout=60)


def usage(server: RunningServer) -> dict[str, int]:
    return json.loads(run_depot(server, "usage", "--json").stdout)


def test_a_collection_that_is_killed_or_not_leaves_what_serves(server: RunningServer, v2: V2, tmp_path: Path) -> None:
    deploy(v2, write_folder(tmp_path / "kept", model_id="kept"), "kept")
    deploy(v2, write_folder(tmp_path / "gone", model_id="gone", suffix=" gone"), "gone")
    deleted = v2.call("DeleteModels", service_pb2.DeleteModelsRequest(user_app_id=v2.user_app, ids=["gone"]))
    assert deleted.status.code == codes.SUCCESS
    assert usage(server)["unused_files"] >= 4  # config.yaml, model.py, the list of the code, the manifest
    for failpoint in ("gc.marked", "gc.removed"):
        assert (
            run_depot(server, "gc", "--min-age", "0", env={"MODELYARD_FAILPOINT": f"{failpoint}=kill"}).returncode == -9
        )
    assert run_depot(server, "gc", "--min-age", "0").returncode == 0
    assert usage(server)["unused_files"] == 0
    assert v2.predict("kept", "hello", timeout=60).outputs[0].data.text.raw == "hello"
    done = run_depot(server, "scrub")
    assert (done.returncode, "damaged: 0" in done.stdout) == (0, True), done.stderr


def test_a_data_directory_without_a_server_is_said(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "modelyard.cli.main", "depot", "usage", "--data-dir", str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 5
    assert "no server was started with the data directory" in done.stderr
