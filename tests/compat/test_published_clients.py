"""Clients as published, unmodified, against our server: upload, predict, generate, stream, listings."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from clarifai_grpc.grpc.api.status import status_code_pb2 as codes
from published import CLIENTS, Published

from support.folders import write_folder
from support.server import V2, RunningServer


def read_answers(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    """The JSON line that a client script ends with."""
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def upload_with_10_9(old: Published, server: RunningServer, folder: Path) -> subprocess.CompletedProcess[str]:
    arguments = ("-m", "clarifai.runners.models.model_upload", "--model_path", str(folder))
    return old.run("python", *arguments, server=server, stdin="\n")


def test_10_9_uploads_a_folder_that_then_answers(old: Published, server: RunningServer, v2: V2, tmp_path: Path) -> None:
    done = upload_with_10_9(old, server, write_folder(tmp_path / "f", model_id="from-10-9"))
    assert "Model build complete!" in done.stdout + done.stderr, done.stdout + done.stderr
    assert v2.predict("from-10-9", "hello").outputs[0].data.text.raw == "hello"


def test_10_9_is_told_why_a_build_failed(old: Published, server: RunningServer, v2: V2, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "f", model_id="broken-10-9", model="this is no Python\n")
    done = upload_with_10_9(old, server, folder)
    shown = done.stdout + done.stderr
    assert "Model build complete!" not in shown
    assert "1/model.py" in shown


def test_10_11_uploads_a_folder_and_shows_its_build_log(
    middle: Published, server: RunningServer, v2: V2, tmp_path: Path
) -> None:
    folder = write_folder(tmp_path / "f", model_id="from-10-11")
    done = middle.run("clarifai", "model", "upload", "--model_path", str(folder), server=server, stdin="\n")
    shown = done.stdout + done.stderr
    assert "Model build complete!" in shown, shown
    assert "Model Building Logs" in shown
    assert v2.predict("from-10-11", "hello").outputs[0].data.text.raw == "hello"


@pytest.mark.parametrize("version", ["old", "middle"])
def test_10_x_calls_a_model_in_every_way(
    version: str, server: RunningServer, echo: str, request: pytest.FixtureRequest
) -> None:
    published: Published = request.getfixturevalue(version)
    done = published.run("python", str(CLIENTS / "legacy_predict.py"), server.user_id, echo, server=server)
    answers = read_answers(done)
    failure = str(answers.pop("failure"))
    assert answers == {
        "predict": ["hello"],
        "params": ["max_tokens=10.0,temperature=0.5"],
        "generate": [["0:one"], ["1:two"], ["2:three"]],
        "stream": [["FIRST"], ["SECOND"]],
    }
    assert "MODEL_PREDICTION_FAILED" in failure
    assert "I was told to" in failure


def test_12_5_calls_a_model_and_its_listings_end(new: Published, server: RunningServer, echo: str, shout: str) -> None:
    done = new.run("python", str(CLIENTS / "modern_predict.py"), server.user_id, echo, shout, server=server)
    answers = read_answers(done)
    assert "MODEL_DOES_NOT_EXIST" in str(answers.pop("missing"))
    assert {echo, shout} <= set(answers.pop("models"))
    assert answers == {
        "predict_by_bytes": "hello",
        "without_input_type": "hello",
        "generate_by_bytes": ["0:one", "1:two"],
        "stream_by_bytes": ["A", "B"],
        "generic_predict": "HELLO THERE",
        "apps": ["main"],
        "versions": 1,
    }


def test_bare_stubs_of_an_old_release_are_enough(stubs: Published, server: RunningServer, echo: str) -> None:
    arguments = (server.address, server.token, server.user_id, echo)
    done = stubs.run("python", str(CLIENTS / "bare_stubs.py"), *arguments, server=server)
    assert read_answers(done) == {
        "predict": [codes.SUCCESS, "hello"],
        "generate": ["0:one", "1:two"],
        "stream": ["A", "B"],
        "wrong_key": codes.CONN_KEY_INVALID,
    }
