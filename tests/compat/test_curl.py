"""curl, unmodified, against the REST door: both spellings of fields, HTTP/1.1 and HTTP/2 without an upgrade."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from clarifai_grpc.grpc.api.status import status_code_pb2 as codes

from support.folders import write_folder
from support.server import CARRIERS, V2, RunningServer, running_server
from support.uploads import deploy

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@pytest.fixture(scope="module", params=CARRIERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Both servers that can carry the doors, instead of the session's one."""
    with running_server(tmp_path_factory.mktemp("server"), "--carrier", request.param) as one:
        yield one


@pytest.fixture(scope="module")
def echo(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    with V2(server) as v2:
        deploy(v2, write_folder(tmp_path_factory.mktemp("echo")))
    return "echo"


def curl(server: RunningServer, path: str, *arguments: str, token: str | None = None) -> tuple[int, Any]:
    """The HTTP status and the JSON body of an answer."""
    authorization = f"Authorization: Key {token or server.token}"
    done = subprocess.run(
        [
            "curl",
            "-sS",
            "-m",
            "60",
            "-w",
            "\n%{http_code} %{http_version}",
            "-H",
            authorization,
            *arguments,
            server.url + path,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    body, _, end = done.stdout.rpartition("\n")
    status, version = end.split()
    wanted = "2" if "--http2-prior-knowledge" in arguments else "1.1"
    assert version == wanted
    return int(status), json.loads(body)


def post(server: RunningServer, path: str, body: object, *arguments: str) -> tuple[int, Any]:
    return curl(server, path, "-H", "Content-Type: application/json", "-d", json.dumps(body), *arguments)


def outputs_path(server: RunningServer, model_id: str) -> str:
    return f"/v2/users/{server.user_id}/apps/main/models/{model_id}/outputs"


@pytest.mark.parametrize("http", ["--http1.1", "--http2-prior-knowledge"])
def test_predict_answers_over_both_versions_of_http(server: RunningServer, echo: str, http: str) -> None:
    status, answer = post(server, outputs_path(server, echo), {"inputs": [{"data": {"text": {"raw": "hi"}}}]}, http)
    assert status == 200
    assert answer["status"]["code"] == codes.SUCCESS
    assert answer["outputs"][0]["data"]["text"]["raw"] == "hi"


@pytest.mark.parametrize(
    "spelling",
    [
        ("user_app_id", "user_id", "app_id", "model_version", "output_info"),
        ("userAppId", "userId", "appId", "modelVersion", "outputInfo"),
    ],
    ids=["snake_case", "camelCase"],
)
def test_both_spellings_of_fields_are_read(server: RunningServer, echo: str, spelling: tuple[str, ...]) -> None:
    user_app, user, app, version, info = spelling
    body = {
        user_app: {user: server.user_id, app: "main"},
        "inputs": [{"data": {"text": {"raw": "params"}}}],
        "model": {version: {info: {"params": {"temperature": 0.5}}}},
    }
    status, answer = post(server, f"/v2/models/{echo}/outputs", body)
    assert (status, answer["status"]["code"]) == (200, codes.SUCCESS), answer
    assert answer["outputs"][0]["data"]["text"]["raw"] == "temperature=0.5"


def test_bytes_are_standard_base64(server: RunningServer, echo: str) -> None:
    image = base64.b64encode(bytes(range(256))).decode()
    body = {"inputs": [{"data": {"text": {"raw": "size"}, "image": {"base64": image}}}]}
    _, answer = post(server, outputs_path(server, echo), body)
    assert answer["outputs"][0]["data"]["text"]["raw"] == "256"


def test_models_are_listed_with_ids_in_path_and_query(server: RunningServer, echo: str) -> None:
    query = f"?user_app_id.user_id={server.user_id}&user_app_id.app_id=main&page=1&per_page=50"
    status, answer = curl(server, f"/v2/users/{server.user_id}/apps/main/models{query}")
    assert status == 200
    assert echo in [model["id"] for model in answer["models"]]


def test_wrong_key_is_a_json_answer_with_a_status(server: RunningServer, echo: str) -> None:
    status, answer = curl(server, f"/v2/users/{server.user_id}/apps/main/models/{echo}", token="wrong")
    assert status == 401
    assert answer["status"]["code"] == codes.CONN_KEY_INVALID


def test_unknown_model_is_a_json_answer_with_a_status(server: RunningServer) -> None:
    status, answer = curl(server, f"/v2/users/{server.user_id}/apps/main/models/never-made")
    assert status == 404
    assert answer["status"]["code"] == codes.MODEL_DOES_NOT_EXIST


def test_body_that_is_no_json_is_refused_with_a_status(server: RunningServer, echo: str) -> None:
    status, answer = curl(server, outputs_path(server, echo), "-d", "{not json")
    assert status == 400
    assert answer["status"]["code"] not in {0, codes.SUCCESS}
    assert answer["status"]["description"]
