"""What a gRPC library may do by itself: send a call again, of which an upload may reach us without any message."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from clarifai_grpc.grpc.api import service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2 as codes
from published import CLIENTS, Published

from support.folders import pack, write_folder
from support.server import V2, running_server
from support.uploads import create_model, deploy, send_upload, upload_messages, wait_built

GATED = """\
import time
from pathlib import Path

from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2


class Gated(ModelRunner):
    def predict(self, request):
        while Path("closed").exists():
            time.sleep(0.01)
        output = resources_pb2.Output(data=request.inputs[0].data)
        return service_pb2.MultiOutputResponse(outputs=[output])
"""


def count_started(v2: V2, model_id: str) -> int:
    """The model's versions that build or serve."""
    request = service_pb2.ListModelVersionsRequest(user_app_id=v2.user_app, model_id=model_id)
    versions = v2.call("ListModelVersions", request).model_versions
    return sum(one.status.code in {codes.MODEL_BUILDING, codes.MODEL_TRAINED} for one in versions)


def test_upload_stream_without_messages_never_starts_a_build(v2: V2) -> None:
    create_model(v2, "empty")
    for _ in range(3):
        answers = send_upload(v2, iter([]))
        assert answers[-1].status.code not in {codes.SUCCESS, codes.MODEL_BUILDING, codes.UPLOAD_IN_PROGRESS}
    assert count_started(v2, "empty") == 0


def test_upload_whose_iterator_is_used_up_starts_nothing_and_the_whole_one_starts_one(v2: V2, tmp_path: Path) -> None:
    """A client that sends its call again finds its iterator empty: only the first call was an upload."""
    create_model(v2, "again")
    messages = upload_messages(v2, pack(write_folder(tmp_path / "f", model_id="again")), "again")
    first = send_upload(v2, messages)
    second = send_upload(v2, messages)
    assert first[-1].status.code == codes.MODEL_BUILDING
    assert second[-1].status.code not in {codes.SUCCESS, codes.MODEL_BUILDING, codes.UPLOAD_IN_PROGRESS}
    assert wait_built(v2, first[-1].model_version_id, "again").status.code == codes.MODEL_TRAINED
    assert count_started(v2, "again") == 1


def test_upload_that_is_cancelled_halfway_starts_nothing(v2: V2, tmp_path: Path) -> None:
    create_model(v2, "half")
    archive = pack(write_folder(tmp_path / "f", model_id="half"))

    def half():
        messages = upload_messages(v2, archive, "half", chunk=200)
        yield next(messages)
        yield next(messages)
        call.cancel()

    call = v2.stub.PostModelVersionsUpload(half(), metadata=v2.metadata, timeout=60)
    with pytest.raises(grpc.RpcError) as refused:
        list(call)
    assert refused.value.code() is grpc.StatusCode.CANCELLED
    assert count_started(v2, "half") == 0


def test_published_clients_come_again_when_a_model_is_busy(
    old: Published, new: Published, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    data_dir = tmp_path_factory.mktemp("busy")
    folder = write_folder(tmp_path / "f", model=GATED, model_id="gated", threads=1)
    with running_server(data_dir, "--queue-size", "1") as server, V2(server) as v2, ThreadPoolExecutor(8) as pool:
        version_id = deploy(v2, folder, "gated")
        (data_dir / "versions" / version_id / "closed").touch()  # from here: its warm-up had to be answered
        flood = [pool.submit(v2.predict, "gated", "x", timeout=120) for _ in range(3)]
        script = str(CLIENTS / "predict_once.py")
        clients = [pool.submit(one.run, "python", script, server.user_id, "gated", server=server) for one in (old, new)]

        def refusals() -> int:
            return sum("code=11005" in line for line in server.errors)

        end = time.monotonic() + 60
        while refusals() < 2:
            assert time.monotonic() < end, "".join(server.errors)
            time.sleep(0.05)
        (data_dir / "versions" / version_id / "closed").unlink()
        for client in clients:
            done = client.result()
            assert done.returncode == 0, done.stdout + done.stderr
            assert json.loads(done.stdout.splitlines()[-1]) == "hello"
        assert {one.result().status.code for one in flood} == {codes.SUCCESS}
