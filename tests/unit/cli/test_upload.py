"""`modelyard upload`: what people and programs are told of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import BuildFailed, InvalidArchive
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


@pytest.fixture
def builder(answers: Any) -> Any:
    """A server that builds whatever comes."""
    version = {"id": "v1", "status": {"code": StatusCode.MODEL_TRAINED}}

    def take(requests: Iterator[Any]) -> Iterator[PostModelVersionsUploadResponse]:
        list(requests)
        yield PostModelVersionsUploadResponse(status=Status(code=StatusCode.MODEL_BUILDING), model_version_id="v1")

    answers.by_name |= {
        "GetModel": lambda _: SingleModelResponse(status=success()),
        "PostModelVersionsUpload": take,
        "GetModelVersion": lambda _: SingleModelVersionResponse(status=success(), model_version=version),
        "ListLogEntries": lambda _: MultiLogEntryResponse(status=success(), log_entries=[{"message": "Resolving"}]),
    }
    return answers


def test_the_end_is_told_with_the_next_step_and_the_build_on_stderr(builder: Any, run: Any, tmp_path: Path) -> None:
    done = run("upload", str(write_folder(tmp_path)))
    assert "local/main/echo@v1 is serving" in done.stdout
    assert "next: modelyard predict main/echo" in done.stdout
    assert done.stderr == "  Resolving\n"


def test_quiet_leaves_the_build_log_out(builder: Any, run: Any, tmp_path: Path) -> None:
    assert run("upload", str(write_folder(tmp_path)), "--quiet").stderr == ""


def test_without_waiting_the_next_step_is_the_log(builder: Any, run: Any, tmp_path: Path) -> None:
    done = run("upload", str(write_folder(tmp_path)), "--no-wait", "--app-id", "shop", "--model-id", "mine")
    assert "local/shop/mine@v1 is accepted" in done.stdout
    assert builder.asked_of("GetModelVersion") == []


def test_json_is_one_document(builder: Any, run: Any, tmp_path: Path) -> None:
    document = json.loads(run("upload", str(write_folder(tmp_path)), "--json").stdout)
    assert (document["model"], document["version_id"]) == ("local/main/echo@v1", "v1")


def test_a_build_that_fails_fails_the_command(builder: Any, run: Any, tmp_path: Path) -> None:
    failed = {"id": "v1", "status": {"code": StatusCode.MODEL_BUILDING_FAILED, "description": "no package foo"}}
    builder.by_name["GetModelVersion"] = lambda _: SingleModelVersionResponse(status=success(), model_version=failed)
    assert isinstance(run("upload", str(write_folder(tmp_path))).exception, BuildFailed)


def test_an_archive_that_the_server_refuses_is_told_in_its_words(builder: Any, run: Any, tmp_path: Path) -> None:
    refused = status_of(InvalidArchive("1/a leads out of the folder"))

    def refuse(requests: Iterator[Any]) -> Iterator[PostModelVersionsUploadResponse]:
        next(requests)
        yield PostModelVersionsUploadResponse(status=refused)

    builder.by_name["PostModelVersionsUpload"] = refuse
    done = run("upload", str(write_folder(tmp_path)))
    assert "leads out of the folder" in str(done.exception)
    assert done.stdout == ""
