"""An upload: what is sent, and how its end is told."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelyard.client.names import ModelName
from modelyard.client.transport import Transport
from modelyard.client.upload import Observer, upload_folder
from modelyard.errors import BuildFailed, InvalidFolder, ModelNotFound
from modelyard.wire.messages import (
    MultiLogEntryResponse,
    PostModelVersionsUploadResponse,
    SingleModelResponse,
    SingleModelVersionResponse,
    Status,
    StatusCode,
)
from modelyard.wire.status import status_of, success
from support.folders import write_folder


class Server:
    """Takes an upload; the version goes through the given states."""

    def __init__(self, answers: Any, states: list[int]) -> None:
        self.answers = answers
        self.states = states
        self.archive = b""
        self.is_there = False
        answers.by_name |= {
            "GetModel": self.get_model,
            "PostModels": self.post_models,
            "PostModelVersionsUpload": self.take,
            "GetModelVersion": self.get_version,
            "ListLogEntries": lambda _: MultiLogEntryResponse(status=success(), log_entries=[{"message": "Resolving"}]),
        }

    def get_model(self, _: Any) -> SingleModelResponse:
        missing = status_of(ModelNotFound("Model does not exist"))
        return SingleModelResponse(status=success() if self.is_there else missing)

    def post_models(self, _: Any) -> SingleModelResponse:
        self.is_there = True
        return SingleModelResponse(status=success())

    def take(self, requests: Iterator[Any]) -> Iterator[PostModelVersionsUploadResponse]:
        total = next(requests).upload_config.total_size
        for request in requests:
            self.archive += request.content_part.data
            yield PostModelVersionsUploadResponse(
                status=Status(code=StatusCode.UPLOAD_IN_PROGRESS), bytes_remaining=total - len(self.archive)
            )
        yield PostModelVersionsUploadResponse(
            status=Status(code=StatusCode.MODEL_BUILDING), model_version_id="v1", bytes_remaining=0
        )

    def get_version(self, _: Any) -> SingleModelVersionResponse:
        code = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        state = Status(code=code, description="no package foo", details="requirements.txt line 1")
        return SingleModelVersionResponse(status=success(), model_version={"id": "v1", "status": state})


def test_a_folder_becomes_a_version_that_serves(answers: Any, transport: Transport, tmp_path: Path) -> None:
    server = Server(answers, [StatusCode.MODEL_BUILDING, StatusCode.MODEL_TRAINED])
    lines: list[str] = []
    sent: list[tuple[int, int]] = []
    observer = Observer(on_line=lines.append, on_progress=lambda done, total: sent.append((done, total)))
    name, version = upload_folder(transport, write_folder(tmp_path), asked=ModelName(model_id=""), observer=observer)
    assert (name.model_id, name.app_id, name.version) == ("echo", "main", "v1")
    assert version is not None
    assert lines == ["Resolving"]
    assert sent[-1] == (len(server.archive), len(server.archive))
    assert len(answers.asked_of("PostModels")) == 1


def test_the_archive_is_the_folder_in_numbered_parts(answers: Any, transport: Transport, tmp_path: Path) -> None:
    server = Server(answers, [StatusCode.MODEL_TRAINED])
    folder = write_folder(tmp_path)
    (folder / "1" / "noise.bin").write_bytes(os.urandom(2_500_000))
    upload_folder(transport, folder, asked=ModelName(model_id=""), observer=Observer())
    with tarfile.open(fileobj=io.BytesIO(server.archive)) as tar:
        names = {name.removeprefix("./") for name in tar.getnames()}
    assert {"config.yaml", "requirements.txt", "1/model.py", "1/noise.bin"} <= names
    parts = [request.content_part for request in answers.asked_of("PostModelVersionsUpload")[1:]]
    assert [part.part_number for part in parts] == [1, 2, 3]
    assert max(len(part.data) for part in parts) == 1024 * 1024


def test_a_build_that_fails_is_told_in_the_servers_words(answers: Any, transport: Transport, tmp_path: Path) -> None:
    Server(answers, [StatusCode.MODEL_BUILDING, StatusCode.MODEL_BUILDING_FAILED])
    with pytest.raises(BuildFailed, match="no package foo") as raised:
        upload_folder(transport, write_folder(tmp_path), asked=ModelName(model_id=""), observer=Observer())
    assert raised.value.details == "requirements.txt line 1"


def test_without_waiting_nothing_is_asked_of_the_build(answers: Any, transport: Transport, tmp_path: Path) -> None:
    Server(answers, [StatusCode.MODEL_BUILDING])
    asked = ModelName(model_id="other", app_id="shop")
    name, version = upload_folder(transport, write_folder(tmp_path), asked=asked, observer=Observer(), is_waiting=False)
    assert (name.model_id, name.app_id, version) == ("other", "shop", None)
    assert not answers.asked_of("GetModelVersion")


def test_the_guides_placeholder_user_is_not_sent(answers: Any, transport: Transport, tmp_path: Path) -> None:
    Server(answers, [StatusCode.MODEL_TRAINED])
    folder = write_folder(tmp_path, user_id="user_id")
    upload_folder(transport, folder, asked=ModelName(model_id=""), observer=Observer())
    config = answers.asked_of("PostModelVersionsUpload")[0].upload_config
    assert config.user_app_id.user_id == "ann"


def test_a_folder_that_cannot_be_built_is_not_sent(answers: Any, transport: Transport, tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    (folder / "1" / "model.py").write_text("def (:\n")
    with pytest.raises(InvalidFolder, match="line 1"):
        upload_folder(transport, folder, asked=ModelName(model_id=""), observer=Observer())
    assert answers.asked == []
