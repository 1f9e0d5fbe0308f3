"""Batching on a real server: many clients, one call of the author's predict for several of them."""

from __future__ import annotations

import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from clarifai_grpc.grpc.api.status import status_code_pb2 as codes

from support.folders import CONFIG, write_folder
from support.server import V2
from support.serving import served_folder
from support.uploads import deploy

CLIENTS = 24
MODEL = """
import time

from clarifai.runners.models.model_runner import ModelRunner
from clarifai_grpc.grpc.api import resources_pb2, service_pb2


class Batched(ModelRunner):
    def load_model(self):
        self.largest = 0

    def predict(self, request):
        texts = [one.data.text.raw for one in request.inputs]
        self.largest = max(self.largest, len(texts))
        time.sleep(0.02)
        if "poison" in texts:
            raise ValueError("I do not eat that")
        mark = "loud" if "loud" in request.model.model_version.output_info.params else "plain"
        answer = service_pb2.MultiOutputResponse()
        for text in texts[1:] if texts[0] == "too few" else texts:
            answer.outputs.add().data.text.raw = str(self.largest) if text == "largest" else f"{mark} {text}"
        return answer
"""


def write_batched(folder: Path) -> Path:
    config = CONFIG.format(model_id="batched", user_id="local", threads=1) + "batching: {max_size: 8}\n"
    return write_folder(folder, model=MODEL, config=config)


def read_text(answer) -> str:
    assert answer.status.code == codes.SUCCESS, answer.status
    return answer.outputs[0].data.text.raw


@pytest.fixture(scope="module")
def batched(servers, tmp_path_factory: pytest.TempPathFactory) -> str:
    with V2(servers.get("inloop")) as v2:
        return deploy(v2, write_batched(tmp_path_factory.mktemp("batched")), "batched")


def test_each_of_many_clients_gets_its_own_answer_and_calls_are_shared(v2: V2, batched: str) -> None:
    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(lambda number: v2.predict("batched", f"{number}"), range(10 * CLIENTS)))
    assert [read_text(one) for one in answers] == [f"plain {number}" for number in range(10 * CLIENTS)]
    assert 2 <= int(read_text(v2.predict("batched", "largest"))) <= 8


def test_parameters_keep_requests_apart(v2: V2, batched: str) -> None:
    def ask(number: int) -> str:
        return read_text(v2.predict("batched", f"{number}", **({"loud": True} if number % 2 else {})))

    with ThreadPoolExecutor(CLIENTS) as pool:
        got = list(pool.map(ask, range(4 * CLIENTS)))
    assert got == [f"{'loud' if number % 2 else 'plain'} {number}" for number in range(4 * CLIENTS)]


def test_poisoned_request_fails_alone(v2: V2, batched: str) -> None:
    with ThreadPoolExecutor(CLIENTS) as pool:
        words = ["poison" if number % 10 == 3 else f"{number}" for number in range(2 * CLIENTS)]
        answers = list(pool.map(lambda word: v2.predict("batched", word), words))
    for word, answer in zip(words, answers, strict=True):
        if word == "poison":
            assert answer.status.code == codes.MODEL_PREDICTION_FAILED
            assert "I do not eat that" in answer.status.description
        else:
            assert read_text(answer) == f"plain {word}"


def test_wrong_number_of_outputs_names_both_numbers(v2: V2, batched: str) -> None:
    answer = v2.predict("batched", "too few", "b", "c")
    assert answer.status.code == codes.MODEL_PREDICTION_FAILED
    assert "sent 3 inputs and returned 2 outputs" in answer.status.description


def test_served_folder_batches_too(tmp_path: Path) -> None:
    with served_folder(write_batched(tmp_path / "m"), cache_dir=tmp_path / "cache") as served:
        url = f"{served.url}/v2/users/{served.user_id}/apps/main/models/batched/outputs"

        def ask(text: str) -> str:
            body = json.dumps({"inputs": [{"data": {"text": {"raw": text}}}]}).encode()
            request = urllib.request.Request(url, body, {"Authorization": f"Key {served.token}"})
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.loads(answer.read())["outputs"][0]["data"]["text"]["raw"]

        with ThreadPoolExecutor(CLIENTS) as pool:
            assert list(pool.map(ask, map(str, range(4 * CLIENTS)))) == [f"plain {n}" for n in range(4 * CLIENTS)]
        assert 2 <= int(ask("largest")) <= 8
