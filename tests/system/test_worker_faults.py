"""A worker that dies fails its own requests only, and comes back."""

from __future__ import annotations

import concurrent.futures
import queue
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from clarifai_grpc.grpc.api.status import status_code_pb2 as codes

from support.doors import frame
from support.folders import write_folder
from support.http2 import RawHttp2
from support.server import V2, RunningServer
from support.uploads import deploy, read_log


@pytest.fixture(scope="module")
def fragile(servers, tmp_path_factory: pytest.TempPathFactory) -> str:
    with V2(servers.get("inloop")) as v2:
        return deploy(v2, write_folder(tmp_path_factory.mktemp("fragile"), model_id="fragile"), "fragile")


def predict_until_it_works(v2: V2, model_id: str, timeout_s: float = 60) -> str:
    end = time.monotonic() + timeout_s
    while True:
        answer = v2.predict(model_id, "alive")
        if answer.status.code == codes.SUCCESS:
            return answer.outputs[0].data.text.raw
        assert time.monotonic() < end, answer.status


@pytest.mark.parametrize("word", ["crash", "kill"])
def test_crash_in_predict_fails_that_request_and_the_next_one_works(v2: V2, fragile: str, word: str) -> None:
    answer = v2.predict("fragile", word)
    assert answer.status.code not in (codes.SUCCESS, 0)
    assert answer.status.description
    assert predict_until_it_works(v2, "fragile") == "alive"


def test_crash_in_generate_ends_that_stream_with_a_status(v2: V2, fragile: str) -> None:
    answers = list(v2.generate("fragile", "one crash two"))
    assert answers[0].outputs[0].data.text.raw == "0:one"
    assert answers[-1].status.code != codes.SUCCESS
    assert predict_until_it_works(v2, "fragile") == "alive"


def test_crash_in_stream_ends_that_stream_with_a_status(v2: V2, fragile: str) -> None:
    answered = queue.SimpleQueue[object]()

    def requests() -> Iterator[object]:
        yield v2.text_request("fragile", "a")
        answered.get(timeout=60)
        yield v2.text_request("fragile", "crash")

    answers = []
    for answer in v2.stream(requests()):
        answers.append(answer)
        answered.put(answer)
    assert answers[0].outputs[0].data.text.raw == "A"
    assert answers[-1].status.code != codes.SUCCESS
    assert predict_until_it_works(v2, "fragile") == "alive"


def test_crash_of_one_model_leaves_another_alone(v2: V2, fragile: str, echo_version: str) -> None:
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        slow = pool.submit(v2.predict, "echo", "sleep 1")
        assert v2.predict("fragile", "crash").status.code != codes.SUCCESS
        assert slow.result().status.code == codes.SUCCESS
    assert predict_until_it_works(v2, "fragile") == "alive"


def test_exception_is_told_with_its_line_and_the_worker_lives(v2: V2, fragile: str) -> None:
    answer = v2.predict("fragile", "raise")
    assert answer.status.code == codes.MODEL_PREDICTION_FAILED
    assert "I was told to" in answer.status.description
    assert "model.py" in answer.status.description + answer.status.details
    assert v2.predict("fragile", "x").status.code == codes.SUCCESS


def test_exception_in_a_stream_comes_after_what_was_yielded(v2: V2, fragile: str) -> None:
    answers = list(v2.generate("fragile", "one raise"))
    assert [answer.status.code for answer in answers] == [codes.SUCCESS, codes.MODEL_PREDICTION_FAILED]


def test_crashes_are_in_the_run_log(v2: V2, fragile: str) -> None:
    v2.predict("fragile", "crash")
    predict_until_it_works(v2, "fragile")
    assert any("exit code 3" in line for line in read_log(v2, fragile, "runner", "fragile"))


def test_cancelled_generate_frees_the_model(v2: V2, tmp_path: Path) -> None:
    deploy(v2, write_folder(tmp_path / "single", model_id="single", threads=1), "single")
    call = v2.generate("single", " ".join(["pause"] * 1000))
    next(call)
    call.cancel()
    assert v2.predict("single", "free", timeout=60).outputs[0].data.text.raw == "free"


def test_open_stream_that_waits_for_its_caller_blocks_nobody(v2: V2, tmp_path: Path) -> None:
    deploy(v2, write_folder(tmp_path / "one", model_id="one-thread", threads=1), "one-thread")
    predicted = queue.SimpleQueue[str]()

    def requests() -> Iterator[object]:
        yield v2.text_request("one-thread", "a")
        yield v2.text_request("one-thread", f"after {predicted.get(timeout=60)}")

    seen = []
    for answer in v2.stream(requests()):
        seen.append(answer.outputs[0].data.text.raw)
        if len(seen) == 1:
            predicted.put(v2.predict("one-thread", "b", timeout=60).outputs[0].data.text.raw)
    assert seen == ["A", "AFTER B"]


def test_deadline_is_kept_by_the_server(v2: V2, server: RunningServer, echo_version: str) -> None:
    """By a client that only tells it, and itself waits for the answer."""
    body = frame(v2.text_request("echo", "sleep 5"))
    with RawHttp2(server.address) as raw:
        raw.post(1, "/clarifai.api.V2/PostModelOutputs", server.token, body, ("grpc-timeout", "500m"))
        assert raw.wait(1).grpc_status == "4"
