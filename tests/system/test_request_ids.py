"""One id for a request: in front what the client said, then in the answer, the headers and the model's log."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clarifai_grpc.grpc.api import service_pb2

from support.folders import CONFIG, write_folder
from support.server import V2, RunningServer
from support.uploads import deploy, read_log

MODEL = """
import time
from pathlib import Path

from modelyard import current_request
from clarifai.runners.models.model_runner import ModelRunner
from clarifai.utils.logging import logger
from clarifai_grpc.grpc.api import service_pb2


def answer(text):
    made = service_pb2.MultiOutputResponse()
    made.outputs.add().data.text.raw = text
    return made


class Told(ModelRunner):
    def load_model(self):
        logger.info("no request yet")

    def predict(self, request):
        logger.info("predicting " + request.inputs[0].data.text.raw)
        made = service_pb2.MultiOutputResponse()
        for one in request.inputs:
            is_trace = one.data.text.raw == "trace"
            made.outputs.add().data.text.raw = current_request().traceparent if is_trace else current_request().id
        return made

    def generate(self, request):
        place = Path(request.inputs[0].data.text.raw)
        try:
            yield answer(current_request().id)
            while not current_request().is_cancelled:
                time.sleep(0.005)
            place.with_suffix(".asked").touch()
            yield answer("nobody reads this")
        finally:
            place.with_suffix(".closed").touch()

    def stream(self, requests):
        for request in requests:
            yield answer(current_request().id)
"""


@pytest.fixture(scope="module")
def told(servers, tmp_path_factory: pytest.TempPathFactory) -> str:
    config = CONFIG.format(model_id="told", user_id="local", threads=2) + "batching: {max_size: 4}\n"
    with V2(servers.get("inloop")) as v2:
        return deploy(v2, write_folder(tmp_path_factory.mktemp("told"), model=MODEL, config=config), "told")


def wait_for(condition: Callable[[], object], timeout_s: float = 60) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def with_prefix(v2: V2, prefix: str) -> tuple[tuple[str, str], ...]:
    return (*v2.metadata, ("x-clarifai-request-id-prefix", prefix))


def test_grpc_answer_has_the_id_in_status_header_and_log(v2: V2, told: str) -> None:
    request = v2.text_request("told", "by grpc")
    answer, call = v2.stub.PostModelOutputs.with_call(request, metadata=with_prefix(v2, "mine"), timeout=60)
    request_id = answer.status.req_id
    assert request_id.startswith("mine-")
    assert answer.outputs[0].data.text.raw == request_id
    assert dict(call.initial_metadata())["x-request-id"] == request_id
    wait_for(
        lambda: any(
            f"predicting by grpc request_id={request_id}" in one for one in read_log(v2, told, "runner", "told")
        )
    )


def test_rest_answer_has_the_id_too(server: RunningServer, told: str) -> None:
    url = f"{server.url}/v2/users/{server.user_id}/apps/main/models/told/outputs"
    headers = {"Authorization": f"Key {server.token}", "X-Clarifai-Request-ID-Prefix": "web"}
    body = json.dumps({"inputs": [{"data": {"text": {"raw": "by rest"}}}]}).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=60) as answer:
        said = json.loads(answer.read())
        assert said["status"]["req_id"] == answer.headers["x-request-id"]
    assert said["status"]["req_id"].startswith("web-")


def test_every_message_of_a_stream_has_its_id(v2: V2, told: str) -> None:
    def requests() -> Iterator[service_pb2.PostModelOutputsRequest]:
        for text in ("a", "b"):
            yield v2.text_request("told", text)

    answers = list(v2.stub.StreamModelOutputs(requests(), metadata=with_prefix(v2, "chat"), timeout=60))
    ids = {answer.status.req_id for answer in answers} | {answer.outputs[0].data.text.raw for answer in answers}
    assert len(ids) == 1
    assert ids.pop().startswith("chat-")


@pytest.mark.parametrize(
    ("sent", "seen"),
    [("00-" + "a" * 32 + "-" + "b" * 16 + "-01", "00-" + "a" * 32 + "-" + "b" * 16 + "-01"), ("00-nonsense", "")],
)
def test_model_sees_the_trace_of_its_caller(v2: V2, told: str, sent: str, seen: str) -> None:
    metadata = (*v2.metadata, ("traceparent", sent))
    answer = v2.stub.PostModelOutputs(v2.text_request("told", "trace"), metadata=metadata, timeout=60)
    assert answer.outputs[0].data.text.raw == seen


def test_line_outside_of_a_request_has_no_id(v2: V2, told: str) -> None:
    lines = [line for line in read_log(v2, told, "runner", "told") if "no request yet" in line]
    assert lines
    assert "request_id" not in lines[0]


def test_cancelled_generator_can_ask_while_it_works_and_is_closed(v2: V2, told: str, tmp_path: Path) -> None:
    call = v2.generate("told", str(tmp_path / "place"))
    assert next(call).outputs[0].data.text.raw
    assert not (tmp_path / "place.asked").exists()
    call.cancel()
    wait_for((tmp_path / "place.closed").exists)
    assert (tmp_path / "place.asked").exists()
