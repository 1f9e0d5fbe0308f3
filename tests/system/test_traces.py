"""Spans of a real server at a real collector: of whom they are, what they tell, and what they cost when it is away."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from google.protobuf.unknown_fields import UnknownFieldSet

from support.collector import Collector
from support.folders import CONFIG, write_folder
from support.server import V2, RunningServer, running_server
from support.uploads import deploy

MODEL = """
from modelyard import current_request
from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import service_pb2


def answer(request):
    made = service_pb2.MultiOutputResponse()
    for one in request.inputs:
        if one.data.text.raw == "raise":
            raise ValueError("secret of the author")
        current = current_request()
        made.outputs.add().data.text.raw = f"{current.traceparent} {current.tracestate}"
    return made


class Traced(ModelRunner):
    def load_model(self):
        pass

    def predict(self, request):
        return answer(request)

    def generate(self, request):
        yield answer(request)
        yield answer(request)

    def stream(self, requests):
        for request in requests:
            yield answer(request)
"""
TRACE_ID, SPAN_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
ALL = {
    "OTEL_TRACES_SAMPLER": "parentbased_always_on",
    "OTEL_BSP_SCHEDULE_DELAY": "50",
    "OTEL_SERVICE_NAME": "yard",
}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as opened:
        yield opened


@pytest.fixture(scope="module")
def traced(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    root = tmp_path_factory.mktemp("traced")
    config = CONFIG.format(model_id="traced", user_id="local", threads=1) + "batching: {max_size: 4}\n"
    with running_server(root / "data", "--otlp", collector.url, env=ALL) as server:
        with V2(server) as v2:
            deploy(v2, write_folder(root / "model", model=MODEL, config=config), "traced")
        yield server


@pytest.fixture(scope="module")
def v2(traced: RunningServer) -> Iterator[V2]:
    with V2(traced) as opened:
        yield opened


def within(v2: V2, flags: str = "01", span_id: str = SPAN_ID) -> tuple[tuple[str, str], ...]:
    return (*v2.metadata, ("traceparent", f"00-{TRACE_ID}-{span_id}-{flags}"), ("tracestate", "shop=1"))


def ask(v2: V2, text: str = "user text", metadata: tuple[tuple[str, str], ...] | None = None):
    return v2.stub.PostModelOutputs(v2.text_request("traced", text), metadata=metadata or v2.metadata, timeout=30)


def test_request_continues_the_callers_trace_down_to_the_author(v2: V2, collector: Collector) -> None:
    answer = ask(v2, metadata=within(v2))
    spans = collector.wait_for_request(answer.status.req_id)
    server, worker = spans["server"], spans["worker"]
    assert (server.span.trace_id.hex(), server.span.parent_span_id.hex()) == (TRACE_ID, SPAN_ID)
    assert worker.span.trace_id.hex() == TRACE_ID
    assert answer.outputs[0].data.text.raw == f"00-{TRACE_ID}-{worker.span.span_id.hex()}-01 shop=1"
    assert server.span.trace_state == "shop=1"
    began, ended = server.span.start_time_unix_nano, server.span.end_time_unix_nano
    assert began <= worker.span.start_time_unix_nano <= worker.span.end_time_unix_nano <= ended
    assert abs(time.time_ns() - ended) < 60e9


def test_span_tells_method_model_version_and_code_and_no_words_of_the_caller(
    v2: V2, traced: RunningServer, collector: Collector
) -> None:
    answer = ask(v2, "private words")
    spans = collector.wait_for_request(answer.status.req_id)
    server = spans["server"]
    assert server.name == "PostModelOutputs"
    assert not server.span.parent_span_id
    assert not server.is_failed
    told = dict(server.attributes)
    assert len(str(told.pop("modelyard.version"))) == 32
    assert told == {
        "rpc.system": "grpc",
        "rpc.service": "clarifai.api.V2",
        "rpc.method": "PostModelOutputs",
        "modelyard.caller": "user",
        "modelyard.status_code": 10000,
        "modelyard.model": "local/main/traced",
        "modelyard.request_id": answer.status.req_id,
    }
    assert server.resource["service.name"] == "yard"
    written = b"".join(one.span.SerializeToString() for one in spans.values())
    assert b"private words" not in written
    assert traced.token.encode() not in written


def test_failed_request_has_its_code_and_no_text(v2: V2, collector: Collector) -> None:
    answer = ask(v2, "raise")
    spans = collector.wait_for_request(answer.status.req_id)
    assert spans["server"].attributes["modelyard.status_code"] == answer.status.code == 21313
    assert spans["server"].is_failed
    assert spans["worker"].is_failed
    assert b"secret" not in b"".join(one.span.SerializeToString() for one in spans.values())


def test_model_that_nobody_has_is_not_named(v2: V2, collector: Collector) -> None:
    answer = v2.stub.PostModelOutputs(v2.text_request("made-up", "a"), metadata=v2.metadata, timeout=30)
    spans = collector.wait_for_request(answer.status.req_id)
    assert "worker" not in spans
    assert "modelyard.model" not in spans["server"].attributes


def test_wrong_token_is_nobody(v2: V2, collector: Collector) -> None:
    answer = ask(v2, metadata=(("authorization", "Key nonsense"),))
    assert collector.wait_for_request(answer.status.req_id)["server"].attributes["modelyard.caller"] == "nobody"


def test_streams_have_a_span_for_all_of_them(v2: V2, collector: Collector) -> None:
    for call in (
        v2.stub.GenerateModelOutputs(v2.text_request("traced", "a"), metadata=within(v2), timeout=30),
        v2.stub.StreamModelOutputs(iter([v2.text_request("traced", "a")] * 2), metadata=within(v2), timeout=30),
    ):
        answers = list(call)
        spans = collector.wait_for_request(answers[0].status.req_id)
        assert len(answers) == 2
        assert spans["server"].span.parent_span_id.hex() == SPAN_ID
        for answer in answers:
            assert spans["worker"].span.span_id.hex() in answer.outputs[0].data.text.raw


def test_rest_request_continues_the_callers_trace(traced: RunningServer, collector: Collector) -> None:
    url = f"{traced.url}/v2/users/local/apps/main/models/traced/outputs"
    headers = {"Authorization": f"Key {traced.token}", "traceparent": f"00-{TRACE_ID}-{SPAN_ID}-01"}
    body = json.dumps({"inputs": [{"data": {"text": {"raw": "by rest"}}}]}).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
        request_id = answer.headers["x-request-id"]
    server = collector.wait_for_request(request_id)["server"]
    assert server.attributes["rpc.system"] == "http"
    assert server.span.parent_span_id.hex() == SPAN_ID


def test_what_the_caller_does_not_record_is_not_recorded(v2: V2, collector: Collector) -> None:
    quiet = ask(v2, metadata=within(v2, flags="00", span_id="11" * 8))
    loud = ask(v2, metadata=within(v2))
    collector.wait_for_request(loud.status.req_id)
    assert quiet.outputs[0].data.text.raw == f"00-{TRACE_ID}-{'11' * 8}-00 shop=1"
    seen = {one.attributes.get("modelyard.request_id") for one in collector.wait(bool)}
    assert quiet.status.req_id not in seen


def test_batch_is_told_and_answers_are_as_ever(v2: V2, collector: Collector) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(v2), range(16)))
    for answer in answers:
        sizes = collector.wait_for_request(answer.status.req_id)["worker"].attributes
        assert 1 <= sizes["modelyard.batch.inputs"] <= 4
        assert not len(UnknownFieldSet(answer))


def find_free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_collector_that_is_away_costs_one_line_and_no_request(tmp_path: Path) -> None:
    away = f"http://127.0.0.1:{find_free_port()}"
    env = {"OTEL_BSP_SCHEDULE_DELAY": "10", "OTEL_EXPORTER_OTLP_TIMEOUT": "1", "OTEL_EXPORTER_OTLP_ENDPOINT": away}
    with running_server(tmp_path, env=env) as server:
        with V2(server) as v2:
            end = time.monotonic() + 60
            while not any("traces.lost" in line for line in server.errors):
                assert v2.stub.PostModelOutputs(v2.text_request("m", "a"), metadata=v2.metadata, timeout=30).status.code
                assert time.monotonic() < end
            for _ in range(300):
                v2.stub.PostModelOutputs(v2.text_request("m", "a"), metadata=v2.metadata, timeout=30)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 30
    assert sum("traces.lost" in line for line in server.errors) == 1
    assert not any("opentelemetry" in line for line in server.errors)


WITHOUT_EXTRA = """\
import sys
sys.modules["opentelemetry"] = None
from modelyard.cli.main import main
main()
"""


@pytest.fixture
def blocker(tmp_path: Path) -> dict[str, str]:
    """With this environment, the module `without_extra` is the server on a machine that has no OpenTelemetry."""
    (tmp_path / "without_extra.py").write_text(WITHOUT_EXTRA)
    return {"PYTHONPATH": str(tmp_path)}


def test_without_the_extra_the_message_says_how_to_install_it(tmp_path: Path, blocker: dict[str, str]) -> None:
    command = ["-m", "without_extra", "up", "--data-dir", str(tmp_path / "data"), "--otlp", "http://127.0.0.1:1"]
    ended = subprocess.run(
        [sys.executable, *command],
        env={**os.environ, **blocker},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode not in (0, 1)
    assert "pip install 'modelyard[otel]'" in ended.stderr


def test_server_starts_without_the_extra(tmp_path: Path, blocker: dict[str, str]) -> None:
    env = {**blocker, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    with running_server(tmp_path / "data", module="without_extra", env=env) as server, V2(server) as v2:
        request = v2.text_request("m", "a")
        assert v2.stub.PostModelOutputs(request, metadata=v2.metadata, timeout=30).status.code == 21200
        assert any("traces.off" in line for line in server.errors)
