"""Delta uploads against a real server: what is sent, what survives, and who is let in."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from clarifai_grpc.grpc.api import service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2 as codes

from modelyard.client.auth import Context
from modelyard.client.names import ModelName
from modelyard.client.transport import Transport
from modelyard.client.upload import Observer, upload_folder
from support.cutting import cutting
from support.folders import write_folder
from support.server import V2, RunningServer, running_server
from support.uploads import create_model, get_version, read_log

WEIGHTS_BYTES = 3_000_000


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_CACHE_DIR", str(tmp_path / "cache"))


def make_folder(place: Path, model_id: str, user_id: str = "user_id") -> Path:
    folder = write_folder(place / "folder", model_id=model_id, user_id=user_id)
    (folder / "1" / "checkpoints").mkdir()
    (folder / "1" / "checkpoints" / "w.bin").write_bytes(random.Random(model_id).randbytes(WEIGHTS_BYTES))
    return folder


def send(context: Context, folder: Path, *, is_waiting: bool = False) -> str:
    """Upload as the command does; the version's id."""
    with Transport(context) as transport:
        name, _ = upload_folder(
            transport, folder, asked=ModelName(model_id=""), observer=Observer(), is_waiting=is_waiting
        )
    return name.version


def context_of(server: RunningServer, url: str = "") -> Context:
    return Context(base=url or server.url, token=server.token, user_id=server.user_id)


def list_states(v2: V2, model_id: str) -> list[int]:
    request = service_pb2.ListModelVersionsRequest(user_app_id=v2.user_app, model_id=model_id)
    return [one.status.code for one in v2.call("ListModelVersions", request).model_versions]


def request(server: RunningServer, verb: str, path: str, body: Any = b"", token: str | None = None) -> tuple[int, Any]:
    host, _, port = server.address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    headers = {"Authorization": f"Key {server.token if token is None else token}"}
    connection.request(verb, path, body if isinstance(body, bytes) else json.dumps(body).encode(), headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, json.loads(content)


def test_an_edit_sends_the_edited_file_and_serves(server: RunningServer, v2: V2, tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "edited")
    send(context_of(server), folder)
    model = folder / "1" / "model.py"
    model.write_text(model.read_text().replace('self.suffix = ""', 'self.suffix = "!"'))
    version = send(context_of(server), folder, is_waiting=True)
    assert "4 files, of which 1 were sent" in read_log(v2, version, model_id="edited")
    assert v2.predict("edited", "hello").outputs[0].data.text.raw == "hello!"


def test_memory_stays_flat_on_both_sides_whatever_a_checkpoint_weighs(server: RunningServer, tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "heavy")
    with (folder / "1" / "checkpoints" / "w.bin").open("r+b") as file:
        file.truncate(400_000_000)
    process = Path("/proc", str(server.process.pid))
    (process / "clear_refs").write_text("5")  # the peak counts from here
    before = read_kb(process, "VmRSS")
    peak = measure_peak_kb(server, "upload", str(folder), "--no-wait", "--quiet")
    assert read_kb(process, "VmHWM") - before < 64 * 1024
    assert peak - measure_peak_kb(server, "models") < 64 * 1024


def read_kb(process: Path, name: str) -> int:
    lines = (process / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def measure_peak_kb(server: RunningServer, *arguments: str) -> int:
    """Run a command; the most memory that it had."""
    script = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], check=True, stdout=2)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
    )
    command = [sys.executable, "-c", script, sys.executable, "-m", "modelyard.cli.main", *arguments]
    env = {**os.environ, **server.environment}
    return int(subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout)


def test_many_small_files_come_in_few_requests_also_where_the_connection_breaks(
    server: RunningServer, v2: V2, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "folder", model_id="many", user_id="user_id")
    (folder / "1" / "data").mkdir()
    for number in range(600):
        (folder / "1" / "data" / f"{number}.txt").write_bytes(random.Random(number).randbytes(2000))
    with cutting(server.address, every_bytes=400_000, cuts=2) as cutter:
        version = send(context_of(server, cutter.url), folder)
        assert cutter.cuts_left <= 0
    log = read_log(v2, version, model_id="many")
    assert log[0].startswith("603 files, of which 60"), log


def test_a_connection_that_is_cut_at_the_first_call_is_gone_on_after(server: RunningServer, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "folder", model_id="first-cut", user_id="user_id")
    with cutting(server.address, every_bytes=200, cuts=4) as cutter:
        assert send(context_of(server, cutter.url), folder)
        assert cutter.cuts_left <= 0


def test_a_connection_that_breaks_again_and_again_brings_the_folder(server: RunningServer, tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "cut")
    with cutting(server.address, every_bytes=700_000, cuts=4) as cutter:
        version = send(context_of(server, cutter.url), folder)
        assert cutter.cuts_left <= 0
    with V2(server) as v2:
        assert get_version(v2, version, "cut").status.code in (codes.MODEL_BUILDING, codes.MODEL_TRAINED)
        assert len(list_states(v2, "cut")) == 1
    assert list((server.data_dir / "arrivals").rglob("*.part")) == []


@pytest.mark.parametrize(
    "failpoint",
    [
        "delta.piece_written",
        "delta.file_whole",
        "delta.row_added",
        "delta.adopted",
        "upload.before_ack",
        "upload.after_ack",
    ],
)
def test_a_client_goes_on_where_a_killed_server_stopped(tmp_path: Path, failpoint: str) -> None:
    folder = make_folder(tmp_path, "echo")
    data_dir = tmp_path / "data"
    server = RunningServer(data_dir, env={"MODELYARD_FAILPOINT": f"{failpoint}=kill"})
    with V2(server, retries=False) as v2:
        create_model(v2)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send, context_of(server), folder)
        assert server.wait_until_dead() == -9
        with running_server(data_dir, "--port", server.address.rpartition(":")[2]) as again, V2(again) as v2:
            version = sending.result(60)
            states = list_states(v2, "echo")
            assert len([state for state in states if state != codes.MODEL_UPLOADING_FAILED]) == 1
            assert get_version(v2, version).status.code in (codes.MODEL_BUILDING, codes.MODEL_TRAINED)
            log = read_log(v2, version)
            assert not any("failed" in line for line in log)
    assert [path for path in (data_dir / "arrivals").rglob("*") if path.is_file()] == []
    assert list((data_dir / "uploads").iterdir()) == []


@pytest.fixture
def paths(server: RunningServer) -> tuple[str, str]:
    app = f"/modelyard/v1/users/{server.user_id}/apps/main"
    return f"{app}/models/echo/versions", f"{app}/files/{'0' * 64}?size=3&offset=0"


def test_all_paths_pass_the_choke_point(server: RunningServer, echo_version: str, paths: tuple[str, str]) -> None:
    order, piece = paths
    for verb, path in (("POST", order), ("PUT", piece), ("POST", piece[: piece.index("/files/") + len("/files")])):
        assert request(server, verb, path, token="")[0] == 401
        assert request(server, verb, path, token="nonsense")[0] == 401
        assert request(server, verb, path.replace(f"/users/{server.user_id}/", "/users/somebody/"))[0] == 404
        assert request(server, "GET", path)[0] == 405


def test_a_refusal_reaches_a_client_that_sends_all_of_a_large_body_first(
    server: RunningServer, echo_version: str, paths: tuple[str, str]
) -> None:
    large = bytes(20_000_000)
    assert request(server, "PUT", paths[1], large, token="nonsense")[0] == 401
    assert request(server, "PUT", paths[1].replace("offset=0", "offset=2"), large)[0] == 409
    assert request(server, "PUT", paths[1], large)[0] == 400
    assert request(server, "POST", paths[0], large, token="nonsense")[0] == 401


def test_the_protocol_is_told_without_a_token(server: RunningServer) -> None:
    status, about = request(server, "GET", "/modelyard/v1", token="")
    assert status == 200
    assert about == {
        "protocol": "modelyard",
        "version": 1,
        "bundles": {"bytes": 4 * 1024 * 1024, "file_bytes": 256 * 1024},
    }
    assert request(server, "GET", "/modelyard/v2", token="")[0] == 404


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        {},
        {"files": {}},
        {"files": [{}]},
        {"files": [{"path": "a", "digest": "0", "size": 1, "executable": False}]},
        {"files": [{"path": "a", "digest": "0" * 64, "size": -1, "executable": False}]},
        {"files": [{"path": "a", "digest": "0" * 64, "size": 1.5, "executable": False}]},
        {"files": [{"path": "\ud800", "digest": "0" * 64, "size": 1, "executable": False}]},
        {"files": [{"path": "a", "digest": "0" * 64, "size": 1, "executable": False}], "model_version": 3},
        {"files": [{"path": "a", "digest": "0" * 64, "size": 1, "executable": False}], "upload_id": 3},
        {"files": [{"path": "a", "digest": "0" * 64, "size": 10**40, "executable": False}]},
    ],
)
def test_an_order_that_is_none_is_refused(
    server: RunningServer, echo_version: str, paths: tuple[str, str], body: Any
) -> None:
    status, answer = request(server, "POST", paths[0], body)
    assert status == 400, answer
    assert answer["status"]["description"]


@pytest.mark.parametrize("query", ["", "?size=3", "?size=3&offset=-1", "?size=a&offset=0", "?size=1&size=2&offset=0"])
def test_a_piece_that_is_none_is_refused(server: RunningServer, paths: tuple[str, str], query: str) -> None:
    assert request(server, "PUT", paths[1].partition("?")[0] + query, b"abc")[0] == 400
    assert request(server, "PUT", paths[1].replace("0" * 64, "..%2f..%2fetc") + query, b"abc")[0] == 400
