"""An upload as published clients send it, step by step, so that tests can stop anywhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2 as codes

from support.folders import pack
from support.server import V2

CHUNK = 64 * 1024


def create_model(v2: V2, model_id: str = "echo", model_type_id: str = "text-to-text"):
    """PostModels; an existing one is fine."""
    model = resources_pb2.Model(id=model_id, model_type_id=model_type_id)
    return v2.call("PostModels", service_pb2.PostModelsRequest(user_app_id=v2.user_app, models=[model]))


def upload_messages(
    v2: V2, archive: bytes, model_id: str = "echo", *, total_size: int | None = None, chunk: int = CHUNK
) -> Iterator[service_pb2.PostModelVersionsUploadRequest]:
    """The client's side of the stream."""
    yield service_pb2.PostModelVersionsUploadRequest(
        upload_config=service_pb2.PostModelVersionsUploadConfig(
            user_app_id=v2.user_app,
            model_id=model_id,
            model_version=resources_pb2.ModelVersion(pretrained_model_config=resources_pb2.PretrainedModelConfig()),
            total_size=len(archive) if total_size is None else total_size,
            is_v3=True,
        )
    )
    for number, start in enumerate(range(0, len(archive), chunk), 1):
        data = archive[start : start + chunk]
        yield service_pb2.PostModelVersionsUploadRequest(
            content_part=resources_pb2.UploadContentPart(data=data, part_number=number, range_start=start + len(data))
        )


def send_upload(v2: V2, messages: Iterator[object]) -> list[service_pb2.PostModelVersionsUploadResponse]:
    """All answers of an upload stream."""
    return list(v2.stub.PostModelVersionsUpload(messages, metadata=v2.metadata, timeout=120))


def upload(v2: V2, folder: Path, model_id: str = "echo") -> str:
    """Create the model, upload the folder; the version id of an acknowledged upload."""
    create_model(v2, model_id)
    last = send_upload(v2, upload_messages(v2, pack(folder), model_id))[-1]
    assert last.status.code == codes.MODEL_BUILDING, last.status
    return last.model_version_id


def get_version(v2: V2, version_id: str, model_id: str = "echo") -> resources_pb2.ModelVersion:
    request = service_pb2.GetModelVersionRequest(user_app_id=v2.user_app, model_id=model_id, version_id=version_id)
    answer = v2.call("GetModelVersion", request)
    assert answer.status.code == codes.SUCCESS, answer.status
    return answer.model_version


def wait_built(v2: V2, version_id: str, model_id: str = "echo", timeout_s: float = 90) -> resources_pb2.ModelVersion:
    """The version once it is no longer building."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        version = get_version(v2, version_id, model_id)
        if version.status.code != codes.MODEL_BUILDING:
            return version
        time.sleep(0.1)
    raise AssertionError(f"still building after {timeout_s} s: {version.status}")


def deploy(v2: V2, folder: Path, model_id: str = "echo") -> str:
    """Upload, wait, and insist that it serves; the version id."""
    version_id = upload(v2, folder, model_id)
    version = wait_built(v2, version_id, model_id)
    assert version.status.code == codes.MODEL_TRAINED, version.status
    return version_id


def read_log(v2: V2, version_id: str, log_type: str = "builder", model_id: str = "echo") -> list[str]:
    """All lines of a log, by pages of 50 as published clients read them."""
    lines: list[str] = []
    page = 1
    while True:
        request = service_pb2.ListLogEntriesRequest(
            page=page,
            per_page=50,
            log_type=log_type,
            user_app_id=v2.user_app,
            model_id=model_id,
            model_version_id=version_id,
        )
        entries = v2.call("ListLogEntries", request).log_entries
        lines.extend(entry.message for entry in entries)
        if len(entries) < 50:
            return lines
        page += 1
