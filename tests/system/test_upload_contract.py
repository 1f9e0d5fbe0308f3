"""Upload streams: whole, broken, empty; none but a whole one ever starts a build."""

from __future__ import annotations

from pathlib import Path

import pytest
from clarifai_grpc.grpc.api import service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2 as codes

from support.folders import pack, write_folder
from support.server import V2
from support.uploads import create_model, get_version, send_upload, upload_messages, wait_built

REFUSED = {codes.MODEL_UPLOADING_FAILED, codes.CONN_BAD_REQUEST_FORMAT, codes.UPLOAD_FAILED}


def count_versions(v2: V2, model_id: str) -> int:
    request = service_pb2.ListModelVersionsRequest(user_app_id=v2.user_app, model_id=model_id)
    answer = v2.call("ListModelVersions", request)
    building = {codes.MODEL_BUILDING, codes.MODEL_TRAINED}
    return sum(one.status.code in building for one in answer.model_versions)


@pytest.fixture
def archive(v2: V2, folder: Path) -> bytes:
    create_model(v2, "up")
    return pack(write_folder(folder, model_id="up"))


def test_empty_stream_is_refused_and_starts_nothing(v2: V2, archive: bytes) -> None:
    before = count_versions(v2, "up")
    answers = send_upload(v2, iter([]))
    assert [one.status.code in REFUSED for one in answers] == [True]
    assert count_versions(v2, "up") == before


@pytest.mark.parametrize("cut", ["short", "long", "no config", "wrong order"])
def test_incomplete_stream_is_refused_and_starts_nothing(v2: V2, archive: bytes, cut: str) -> None:
    before = count_versions(v2, "up")
    messages = list(upload_messages(v2, archive, "up", chunk=100))
    match cut:
        case "short":
            messages.pop()
        case "long":
            messages[0].upload_config.total_size -= 1
        case "no config":
            messages.pop(0)
        case "wrong order":
            messages[1], messages[2] = messages[2], messages[1]
    answers = send_upload(v2, iter(messages))
    assert answers[-1].status.code in REFUSED, answers[-1].status
    assert answers[-1].status.description
    assert count_versions(v2, "up") == before


@pytest.mark.parametrize("chunk", [1, 1000, 10_000_000])
def test_any_chunk_size_is_taken(v2: V2, tmp_path: Path, chunk: int) -> None:
    create_model(v2, "up")
    folder = write_folder(
        tmp_path / "f",
        model_id="up",
        model="from clarifai.runners.models.model_runner import ModelRunner\nclass A(ModelRunner):\n    pass\n",
    )
    answers = send_upload(v2, upload_messages(v2, pack(folder), "up", chunk=chunk))
    assert answers[-1].status.code == codes.MODEL_BUILDING, answers[-1].status
    assert all(one.status.code == codes.UPLOAD_IN_PROGRESS for one in answers[:-1])
    assert wait_built(v2, answers[-1].model_version_id, "up").status.code == codes.MODEL_TRAINED


def test_upload_to_a_model_that_does_not_exist_is_told(v2: V2, archive: bytes) -> None:
    answers = send_upload(v2, upload_messages(v2, archive, "never-made"))
    assert answers[-1].status.code == codes.MODEL_DOES_NOT_EXIST


def test_archive_that_is_no_archive_is_refused(v2: V2) -> None:
    create_model(v2, "up")
    answers = send_upload(v2, upload_messages(v2, b"this is not gzip" * 100, "up"))
    assert answers[-1].status.code == codes.MODEL_UPLOADING_FAILED
    assert "gzip" in answers[-1].status.description


def test_refused_version_is_listed_as_failed(v2: V2) -> None:
    create_model(v2, "up")
    answers = send_upload(v2, upload_messages(v2, b"no", "up"))
    version_id = answers[-1].model_version_id or answers[0].model_version_id
    assert get_version(v2, version_id, "up").status.code == codes.MODEL_UPLOADING_FAILED
