"""GET /metrics of a real server: what was asked is counted, and who may read it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.folders import write_folder
from support.probe import wait_until
from support.server import V2, RunningServer, running_server
from support.uploads import deploy

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
MODEL = "local/main/counted"


def get(server: RunningServer, **headers: str) -> str:
    request = urllib.request.Request(
        f"{server.url}/metrics", headers={k.replace("_", "-"): v for k, v in headers.items()}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        return answer.read().decode()


def refusal(server: RunningServer, **headers: str) -> int:
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(server, **headers)
    caught.value.close()
    return caught.value.code


def read(server: RunningServer) -> Samples:
    families = text_string_to_metric_families(get(server))
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def find(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, frozenset(labels.items())), 0.0)


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("counting")
    with running_server(folder / "data", "--log-format", "json") as server:
        with V2(server) as v2:
            deploy(v2, write_folder(folder / "model", model_id="counted"), "counted")
        yield server


def test_requests_are_counted_by_method_model_and_code(counting: RunningServer) -> None:
    before = read(counting)
    with V2(counting) as v2:
        for text in ("a", "b", "raise"):
            v2.predict("counted", text, "c")
        v2.predict("no-such-model", "a")
        list(v2.generate("counted", "one two"))
    after = read(counting)

    def grown(name: str, **labels: str) -> float:
        return find(after, name, **labels) - find(before, name, **labels)

    post = {"model": MODEL, "method": "PostModelOutputs"}
    assert grown("modelyard_model_requests_total", code="10000", **post) == 2
    assert grown("modelyard_model_requests_total", code="21313", **post) == 1
    assert grown("modelyard_model_request_seconds_count", **post) == 3
    assert grown("modelyard_requests_total", method="PostModelOutputs", code="21200") == 1
    assert grown("modelyard_requests_total", method="GenerateModelOutputs", code="10000") == 1
    assert grown("modelyard_queue_seconds_count", model=MODEL) == 4
    assert grown("modelyard_inference_seconds_count", model=MODEL) == 3
    assert grown("modelyard_batch_inputs_sum", model=MODEL) == 6
    assert grown("modelyard_outputs_total", model=MODEL) == 6
    assert not any("no-such-model" in value for _, labels in after for _, value in labels)


def test_replicas_builds_uploads_and_memory_are_there(counting: RunningServer) -> None:
    samples = read(counting)
    assert find(samples, "modelyard_replicas", model=MODEL, state="ready") == 1
    assert find(samples, "modelyard_build_seconds_count", outcome="built") == 1
    assert sum(value for (name, _), value in samples.items() if name == "modelyard_upload_seconds_count") == 1
    assert find(samples, "modelyard_worker_memory_bytes", model=MODEL) > 1 << 20
    assert find(samples, "process_resident_memory_bytes") > 1 << 20


@pytest.mark.parametrize(
    "headers",
    [
        {"X_Forwarded_For": "10.0.0.1"},
        {"Origin": "http://evil.example"},
        {"Host": "evil.example"},
        {"Via": "1.1 proxy"},
    ],
)
def test_who_does_not_ask_from_this_machine_itself_needs_the_servers_token(
    counting: RunningServer, headers: dict[str, str]
) -> None:
    assert refusal(counting, **headers) == 401
    assert "modelyard_requests_total" in get(counting, Authorization=f"Bearer {counting.token}", **headers)


def test_wrong_token_is_refused_on_the_loopback_too(counting: RunningServer) -> None:
    assert refusal(counting, Authorization="Bearer nonsense") == 401


def test_other_methods_than_get_are_refused(counting: RunningServer) -> None:
    request = urllib.request.Request(f"{counting.url}/metrics", b"", method="POST")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=60)
    caught.value.close()
    assert caught.value.code == 405


def test_log_lines_are_json_objects_with_the_request_id(counting: RunningServer) -> None:
    with V2(counting) as v2:
        request_id = v2.predict("no-such-model", "a").status.req_id

    def find_failed() -> list[dict[str, str]]:
        lines = [json.loads(line) for line in counting.errors if line.startswith("{")]
        return [line for line in lines if line["event"] == "request.failed" and line["request_id"] == request_id]

    wait_until(find_failed)
    assert [(one["method"], one["code"]) for one in find_failed()] == [("PostModelOutputs", "21200")]


def test_token_can_be_asked_for_everywhere(tmp_path: Path) -> None:
    with running_server(tmp_path, "--metrics-token") as server:
        assert refusal(server) == 401
        assert "modelyard_requests_total" in get(server, Authorization=f"Key {server.token}")
