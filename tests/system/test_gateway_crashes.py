"""kill -9 of the gateway at each step: nothing acknowledged is lost, nothing half is left."""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
from pathlib import Path

import grpc
import pytest
from clarifai_grpc.grpc.api import service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2 as codes

from support.folders import pack, write_folder
from support.probe import ProbeFiles, read_gauge, wait_until
from support.server import V2, RunningServer, running_server
from support.uploads import create_model, deploy, send_upload, upload_messages, wait_built

BEFORE_ACK = [
    "upload.first_message",
    "upload.part_written",
    "upload.after_fsync",
    "upload.after_extract",
    "upload.after_adopt",
    "upload.before_ack",
]
AFTER_ACK = ["upload.after_ack", "build.started", "build.locked", "build.installed", "build.before_done", "build.done"]


def list_versions(v2: V2, model_id: str = "echo"):
    request = service_pb2.ListModelVersionsRequest(user_app_id=v2.user_app, model_id=model_id)
    return list(v2.call("ListModelVersions", request).model_versions)


def crash_at(failpoint: str, data_dir: Path, archive: bytes) -> None:
    """A server that dies at the failpoint while it takes and builds this upload."""
    server = RunningServer(data_dir, env={"MODELYARD_FAILPOINT": f"{failpoint}=kill"})
    with V2(server, retries=False) as v2:
        create_model(v2)
        with contextlib.suppress(grpc.RpcError):
            send_upload(v2, upload_messages(v2, archive))
        assert server.wait_until_dead() == -9


@pytest.mark.parametrize("failpoint", BEFORE_ACK)
def test_kill_before_the_acknowledgement_leaves_a_failed_upload_and_no_rubbish(tmp_path: Path, failpoint: str) -> None:
    archive = pack(write_folder(tmp_path / "folder"))
    crash_at(failpoint, tmp_path / "data", archive)
    with running_server(tmp_path / "data") as server, V2(server) as v2:
        assert [one.status.code for one in list_versions(v2)] == [codes.MODEL_UPLOADING_FAILED]
        assert list((tmp_path / "data" / "uploads").iterdir()) == []
        deploy(v2, tmp_path / "folder")
        assert v2.predict("echo", "again").outputs[0].data.text.raw == "again"


@pytest.mark.parametrize("failpoint", AFTER_ACK)
def test_kill_after_the_acknowledgement_goes_on_after_the_restart(tmp_path: Path, failpoint: str) -> None:
    archive = pack(write_folder(tmp_path / "folder"))
    crash_at(failpoint, tmp_path / "data", archive)
    with running_server(tmp_path / "data") as server, V2(server) as v2:
        (version,) = list_versions(v2)
        assert wait_built(v2, version.id).status.code == codes.MODEL_TRAINED
        assert v2.predict("echo", "back").outputs[0].data.text.raw == "back"


def find_workers(data_dir: Path) -> list[str]:
    """Command lines of the workers that serve from this data directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            command = entry.read_bytes().replace(b"\0", b" ").decode()
            if "modelyard.worker" in command and str(data_dir) in command:
                found.append(command)
    return found


def test_kill_while_serving_brings_the_model_back_and_leaves_no_worker(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    server = RunningServer(data_dir)
    with V2(server) as v2:
        deploy(v2, write_folder(tmp_path / "folder"))
        assert len(find_workers(data_dir)) == 1
        run_dir = (data_dir / "run").readlink()
        server.kill()
    wait_until(lambda: not find_workers(data_dir))
    with running_server(data_dir) as again, V2(again) as v2:
        assert v2.predict("echo", "back").outputs[0].data.text.raw == "back"
        assert not run_dir.exists()
        run_dir = (data_dir / "run").readlink()
    assert find_workers(data_dir) == []
    assert not run_dir.exists()


def test_sigterm_lets_running_requests_finish(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server, V2(server) as v2:
        files = ProbeFiles(server, deploy(v2, write_folder(tmp_path / "folder")))
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            slow = pool.submit(v2.predict, "echo", "gate go")
            words = v2.generate("echo", "pause " * 5)
            next(words)
            wait_until(lambda: read_gauge(server, "modelyard_in_flight") == 2)
            stopping = pool.submit(server.stop)
            wait_until(lambda: not server.is_ready)
            files.open("go")
            assert stopping.result() == 0
        assert slow.result().outputs[0].data.text.raw == "gate go"
        assert [one.status.code for one in words] == [codes.SUCCESS] * 4


def test_client_that_leaves_midway_leaves_a_failed_upload(tmp_path: Path, server: RunningServer) -> None:
    archive = pack(write_folder(tmp_path / "folder"))
    with V2(server) as v2:
        create_model(v2, "left")
        is_over = threading.Event()
        messages = list(upload_messages(v2, archive, "left", chunk=200))[:3]

        def hang():
            yield from messages
            is_over.wait(60)

        call = v2.stub.PostModelVersionsUpload(hang(), metadata=v2.metadata, timeout=60)
        next(call)
        call.cancel()
        is_over.set()
        wait_until(lambda: [one.status.code for one in list_versions(v2, "left")] == [codes.MODEL_UPLOADING_FAILED])
