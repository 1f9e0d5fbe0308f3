"""The language model, beside `generate` of transformers with one prompt at a time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from clarifai_grpc.grpc.api.status import status_code_pb2 as codes

from support.examples import Asked, text
from system.examples.conftest import Lab

GREEDY = {"temperature": 0, "max_tokens": 24}


@pytest.fixture(scope="module")
def llm(deploy_example: Callable[[str], Asked]) -> Asked:
    return deploy_example("llm")


def list_texts(answer) -> list[str]:
    return [one.data.text.raw for one in answer.outputs]


def test_a_batch_of_prompts_is_continued_as_each_alone(llm: Asked, lab: Lab) -> None:
    expected = lab.expected["llm"]
    answer = llm.predict(*(text(prompt) for prompt in expected), params=GREEDY)
    assert answer.status.code == codes.SUCCESS, answer.status
    assert list_texts(answer) == list(expected.values())
    assert all(one.prompt_tokens > 5 and one.completion_tokens == 24 for one in answer.outputs)


def test_pieces_come_one_by_one_and_are_the_whole_text(llm: Asked, lab: Lab) -> None:
    expected = lab.expected["llm"]
    answers = [list_texts(one) for one in llm.generate(*(text(prompt) for prompt in expected), params=GREEDY)]
    assert len(answers) > 10
    assert ["".join(pieces) for pieces in zip(*answers, strict=True)] == list(expected.values())


def test_a_character_of_many_tokens_comes_whole_and_a_part_of_one_never(lab: Lab) -> None:
    pieces = lab.expected["pieces"]
    assert "".join(pieces) == "Grüße, 你好, the keeper 🙂"
    assert {"ü", "ß", "你", "好"} <= set(pieces)
    assert pieces[-4:] == ["", "", "", ""]  # three of the four bytes of another smile, and the end


def test_more_inputs_than_are_answered_at_once(llm: Asked, lab: Lab) -> None:
    (prompt, expected), *_ = lab.expected["llm"].items()
    assert list_texts(llm.predict(*[text(prompt)] * 20, params=GREEDY)) == [expected] * 20
    answers = [list_texts(one) for one in llm.generate(*[text(prompt)] * 20, params=GREEDY)]
    assert ["".join(pieces) for pieces in zip(*answers, strict=True)] == [expected] * 20


def test_stream_answers_each_request_in_turn(llm: Asked, lab: Lab) -> None:
    expected = lab.expected["llm"]
    requests = [llm.request(text(prompt), params=GREEDY) for prompt in expected]
    whole = "".join(piece for answer in llm.stream(*requests) for piece in list_texts(answer))
    assert whole == "".join(expected.values())


def test_input_without_text_and_too_long_a_text_fail_alone(llm: Asked, lab: Lab) -> None:
    (prompt, expected), *_ = lab.expected["llm"].items()
    answer = llm.predict(text(""), text(prompt), text("boats " * 9000), params=GREEDY)
    assert answer.status.code == codes.MIXED_STATUS
    assert list_texts(answer) == ["", expected, ""]
    assert answer.outputs[0].status.description == "the input has no text"
    assert "this model reads 8191 at most" in answer.outputs[2].status.description
    streamed = [list_texts(one) for one in llm.generate(text(""), text(prompt), params=GREEDY)]
    assert ["".join(pieces) for pieces in zip(*streamed, strict=True)] == ["", expected]


def test_text_ends_before_a_stop_text(llm: Asked, lab: Lab) -> None:
    (prompt, expected), *_ = lab.expected["llm"].items()
    stop = expected[12:16]  # it may begin within one token and end within another
    before = expected[: expected.index(stop)]
    params = {**GREEDY, "stop": [stop, "never written"]}
    assert list_texts(llm.predict(text(prompt), params=params)) == [before]
    assert "".join(list_texts(one)[0] for one in llm.generate(text(prompt), params=params)) == before


def test_seed_makes_a_random_text_come_again(llm: Asked) -> None:
    def write(seed: int) -> list[str]:
        params = {"temperature": 1.5, "max_tokens": 20, "seed": seed}
        return list_texts(llm.predict(text("The keeper"), text("The bell"), params=params))

    assert write(1) == write(1)
    assert write(1) != write(2)


def test_messages_are_what_was_said_before(llm: Asked, lab: Lab) -> None:
    (prompt, expected), *_ = lab.expected["llm"].items()
    alone = llm.predict(text(""), params={**GREEDY, "messages": [{"role": "user", "content": prompt}]})
    assert list_texts(alone) == [expected]
    history = [{"role": "system", "content": "Be brief."}]
    assert list_texts(llm.predict(text(prompt), params={**GREEDY, "messages": history})) != [expected]


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"temperature": -1}, "temperature is -1.0; it must be a number, 0 or more"),
        ({"top_p": 2}, "top_p is 2.0; it must be a number from 0.001 to 1"),
        ({"max_tokens": 0.5}, "max_tokens is 0.5; it must be a whole number, 1 or more"),
        ({"stop": 3}, "stop is 3.0; it must be a text or a list of texts"),
        ({"messages": [{"role": "user"}]}, "it must be a list of messages"),
        ({"max_token": 5}, "there is no parameter 'max_token', only temperature,"),
    ],
)
def test_wrong_parameter_is_told_with_what_it_may_be(llm: Asked, params: dict[str, object], said: str) -> None:
    answer = llm.predict(text("x"), params=params)
    assert answer.status.code == codes.MODEL_PREDICTION_FAILED
    assert said in answer.status.description


def test_who_hangs_up_stops_the_network(llm: Asked) -> None:
    """The model has one thread: the next answer waits for the one before, whose texts would take minutes."""
    answers = llm.generate(*[text("The keeper")] * 128, params={"temperature": 0, "max_tokens": 8000})
    next(iter(answers))
    answers.cancel()
    assert llm.predict(text("The keeper"), params=GREEDY).status.code == codes.SUCCESS
