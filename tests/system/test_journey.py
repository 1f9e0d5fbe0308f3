"""One model from folder to answer, over every door of this release."""

from __future__ import annotations

import base64
import json
import queue
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from clarifai_grpc.grpc.api import resources_pb2, service_pb2
from clarifai_grpc.grpc.api.status import status_code_pb2 as codes

from support.folders import CONFIG, write_folder
from support.server import CARRIERS, V2, RunningServer
from support.uploads import deploy, get_version, read_log

on_every_carrier = pytest.mark.parametrize("carrier", CARRIERS)


def has_python(version: str) -> bool:
    """Is there an interpreter of this version, on PATH or of pyenv?"""
    return bool(shutil.which(f"python{version}") or list((Path.home() / ".pyenv" / "versions").glob(f"{version}.*")))


@pytest.fixture
def rest(server: RunningServer) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Key {server.token}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=60) as client:
        yield client


def outputs_path(server: RunningServer, model_id: str = "echo") -> str:
    return f"/v2/users/{server.user_id}/apps/main/models/{model_id}/outputs"


@on_every_carrier
def test_predict_over_grpc(v2: V2, echo_version: str) -> None:
    answer = v2.predict("echo", "hello", "there")
    assert answer.status.code == codes.SUCCESS, answer.status
    assert [output.data.text.raw for output in answer.outputs] == ["hello", "there"]


@on_every_carrier
def test_generate_over_grpc_comes_piece_by_piece(v2: V2, echo_version: str) -> None:
    texts = [answer.outputs[0].data.text.raw for answer in v2.generate("echo", "one two three")]
    assert texts == ["0:one", "1:two", "2:three"]


@on_every_carrier
def test_stream_over_grpc_answers_each_message_as_it_comes(v2: V2, echo_version: str) -> None:
    answered = queue.SimpleQueue[str]()

    def requests() -> Iterator[object]:
        yield v2.text_request("echo", "a")
        yield v2.text_request("echo", f"after {answered.get(timeout=60)}")

    seen = []
    for answer in v2.stream(requests()):
        assert answer.status.code == codes.SUCCESS, answer.status
        seen.append(answer.outputs[0].data.text.raw)
        answered.put(seen[-1])
    assert seen == ["A", "AFTER A"]


@on_every_carrier
def test_class_sees_the_version_and_the_callers_params_win(v2: V2, echo_version: str) -> None:
    answer = v2.predict("echo", "version", "params", temperature=0.5)
    assert answer.outputs[0].data.text.raw == echo_version
    assert answer.outputs[1].data.text.raw == "temperature=0.5"


@on_every_carrier
def test_large_image_reaches_the_class_whole(v2: V2, echo_version: str) -> None:
    request = v2.text_request("echo", "size")
    request.inputs[0].data.image.base64 = b"\xff" * (20 * 1024 * 1024)
    answer = v2.call("PostModelOutputs", request)
    assert answer.outputs[0].data.text.raw == str(20 * 1024 * 1024)


@on_every_carrier
def test_predict_over_rest(server: RunningServer, rest: httpx.Client, echo_version: str) -> None:
    image = base64.b64encode(b"\x00\xff" * 1000).decode()
    body = {
        "inputs": [{"data": {"text": {"raw": "hi"}}}, {"data": {"text": {"raw": "size"}, "image": {"base64": image}}}]
    }
    answer = rest.post(outputs_path(server), json=body)
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert document["status"]["code"] == codes.SUCCESS
    assert [output["data"]["text"]["raw"] for output in document["outputs"]] == ["hi", "2000"]


@on_every_carrier
def test_predict_over_rest_with_the_short_path_and_bearer(server: RunningServer, echo_version: str) -> None:
    answer = httpx.post(
        f"{server.url}/v2/models/echo/outputs",
        headers={"authorization": f"Bearer {server.token}"},
        json={"inputs": [{"data": {"text": {"raw": "hi"}}}]},
    )
    assert answer.json()["outputs"][0]["data"]["text"]["raw"] == "hi"


@on_every_carrier
def test_generate_over_rest_streams_lines(server: RunningServer, rest: httpx.Client, echo_version: str) -> None:
    body = {"inputs": [{"data": {"text": {"raw": "one two"}}}]}
    with rest.stream("POST", outputs_path(server) + "/generate", json=body) as answer:
        lines = [json.loads(line) for line in answer.iter_lines() if line]
    assert [line["outputs"][0]["data"]["text"]["raw"] for line in lines] == ["0:one", "1:two"]


@on_every_carrier
def test_rest_and_grpc_share_a_port_and_http2(server: RunningServer, echo_version: str) -> None:
    with httpx.Client(http1=False, http2=True, headers={"authorization": f"Key {server.token}"}) as client:
        answer = client.get(f"{server.url}/v2/users/{server.user_id}/apps/main/models/echo")
    assert answer.http_version == "HTTP/2"
    assert answer.json()["model"]["model_version"]["status"]["code"] == codes.MODEL_TRAINED


@on_every_carrier
def test_method_that_is_not_there_is_named_on_both_doors(v2: V2, server: RunningServer, rest: httpx.Client) -> None:
    import grpc

    with pytest.raises(grpc.RpcError) as caught:
        v2.call("ListWorkflows", service_pb2.ListWorkflowsRequest(user_app_id=v2.user_app))
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "ListWorkflows" in caught.value.details()
    answer = rest.get(f"/v2/users/{server.user_id}/apps/main/workflows")
    assert answer.status_code == 501
    assert "ListWorkflows" in answer.json()["status"]["description"]


def test_what_the_author_left_out_is_not_implemented_by_this_model(v2: V2, folder: Path) -> None:
    model = """
        from clarifai.runners.models.model_runner import ModelRunner

        class OnlyLoads(ModelRunner):
            def load_model(self):
                pass
        """
    deploy(v2, write_folder(folder, model=model, model_id="empty"), "empty")
    answer = v2.predict("empty", "x")
    assert answer.status.code != codes.SUCCESS
    assert "not implemented by this model" in answer.status.description
    generated = list(v2.generate("empty", "x"))
    assert "not implemented by this model" in generated[-1].status.description


def test_logs_tell_the_build_and_the_run(v2: V2, echo_version: str) -> None:
    assert any("loaded" in line for line in read_log(v2, echo_version, "runner"))
    assert read_log(v2, echo_version, "builder")


def test_log_entries_have_unique_urls(v2: V2, echo_version: str) -> None:
    request = service_pb2.ListLogEntriesRequest(
        page=1, per_page=50, log_type="builder", user_app_id=v2.user_app, model_id="echo", model_version_id=echo_version
    )
    urls = [entry.url for entry in v2.call("ListLogEntries", request).log_entries]
    assert len(set(urls)) == len(urls) > 1


@on_every_carrier
def test_new_version_takes_over_and_the_old_one_answers_by_id(v2: V2, folder: Path) -> None:
    first = deploy(v2, write_folder(folder, suffix="-1", model_id="twice"), "twice")
    second = deploy(v2, write_folder(folder, suffix="-2", model_id="twice"), "twice")
    assert first != second
    assert v2.predict("twice", "x").outputs[0].data.text.raw == "x-2"
    assert v2.predict("twice", "x", version_id=first).outputs[0].data.text.raw == "x-1"
    assert get_version(v2, "", "twice").id == second


def test_concepts_of_the_config_are_on_the_version_and_reach_the_class(v2: V2, folder: Path) -> None:
    config = """
model:
  id: "pets"
  model_type_id: "visual-classifier"
concepts:
  - id: no
    name: no
  - id: 1
    name: cat
"""
    model = """
        from clarifai.runners.models.model_runner import ModelRunner
        from clarifai_grpc.grpc.api import resources_pb2, service_pb2

        class Pets(ModelRunner):
            def predict(self, request):
                concepts = request.model.model_version.output_info.data.concepts
                output = resources_pb2.Output()
                output.data.concepts.extend(concepts)
                return service_pb2.MultiOutputResponse(outputs=[output for _ in request.inputs])
        """
    version_id = deploy(v2, write_folder(folder, model=model, config=config), "pets")
    listed = get_version(v2, version_id, "pets").output_info.data.concepts
    assert [(one.id, one.name) for one in listed] == [("no", "no"), ("1", "cat")]
    answer = v2.predict("pets", "x")
    assert [one.name for one in answer.outputs[0].data.concepts] == ["no", "cat"]


@pytest.mark.parametrize("pin", ["clarifai-grpc==10.8.0", "clarifai==10.9.2\nrequests", "protobuf<6"])
def test_authors_pins_win_over_ours(v2: V2, folder: Path, pin: str) -> None:
    deploy(v2, write_folder(folder, requirements=pin + "\n", model_id="pinned"), "pinned")
    assert v2.predict("pinned", "x").outputs[0].data.text.raw == "x"


@pytest.mark.parametrize("version", ["3.10", "3.12", "3.13"])
def test_config_chooses_the_python(v2: V2, folder: Path, version: str) -> None:
    if not has_python(version):
        pytest.skip(f"Python {version} is not on this machine")
    model = """
        import sys
        from clarifai.runners.models.model_runner import ModelRunner
        from clarifai_grpc.grpc.api import resources_pb2, service_pb2

        class Which(ModelRunner):
            def predict(self, request):
                output = resources_pb2.Output()
                output.data.text.raw = "%d.%d" % sys.version_info[:2]
                return service_pb2.MultiOutputResponse(outputs=[output])
        """
    config = CONFIG.format(model_id="which", user_id="local", threads=1)
    config += f"build_info:\n  python_version: '{version}'\n"
    deploy(v2, write_folder(folder, model=model, config=config), "which")
    assert v2.predict("which", "x").outputs[0].data.text.raw == version


@on_every_carrier
def test_deleted_model_is_gone(v2: V2, folder: Path) -> None:
    deploy(v2, write_folder(folder, model_id="short-lived"), "short-lived")
    assert (
        v2.call(
            "DeleteModels", service_pb2.DeleteModelsRequest(user_app_id=v2.user_app, ids=["short-lived"])
        ).status.code
        == codes.SUCCESS
    )
    request = service_pb2.GetModelRequest(user_app_id=v2.user_app, model_id="short-lived")
    assert v2.call("GetModel", request).status.code == codes.MODEL_DOES_NOT_EXIST
    assert isinstance(request.user_app_id, resources_pb2.UserAppIDSet)
