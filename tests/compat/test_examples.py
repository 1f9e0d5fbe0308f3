"""The example that needs nothing to be downloaded or trained, deployed as it stands."""

from __future__ import annotations

import queue
from pathlib import Path

import pytest
from clarifai_grpc.grpc.api.status import status_code_pb2 as codes

from support.server import V2, RunningServer
from support.uploads import deploy

EXAMPLE = Path(__file__).parents[2] / "examples" / "markov-text"


@pytest.fixture(scope="module")
def model_id(server: RunningServer) -> str:
    with V2(server) as v2:
        deploy(v2, EXAMPLE, "markov-text")
    return "markov-text"


def text(answer) -> str:
    assert answer.status.code == codes.SUCCESS, answer.status
    return answer.outputs[0].data.text.raw


def test_same_seed_gives_the_same_text_at_once_and_word_by_word(v2: V2, model_id: str) -> None:
    whole = text(v2.predict(model_id, "The old boats", seed=4))
    words = [text(one) for one in v2.generate(model_id, "The old boats", seed=4)]
    assert len(words) > 1
    assert "".join(words).strip() == whole


def test_stream_answers_each_request_before_the_next_is_sent(v2: V2, model_id: str) -> None:
    waiting: queue.SimpleQueue = queue.SimpleQueue()
    answers = v2.stream(iter(waiting.get, None))
    for prompt in ("The wind", "In the"):
        waiting.put(v2.text_request(model_id, prompt, temperature=0))
        assert text(next(answers))
    waiting.put(None)
    assert list(answers) == []


def test_parameter_out_of_range_is_named_to_the_caller(v2: V2, model_id: str) -> None:
    answer = v2.predict(model_id, "The wind", temperature=-1)
    assert answer.status.code == codes.MODEL_PREDICTION_FAILED
    assert "temperature is -1; it must be 0 or more" in answer.status.description
