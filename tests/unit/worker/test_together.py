"""Batches through the author's class, with the link as a list."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard import errors
from modelyard.sdk.runner import ModelRunner, implemented_methods
from modelyard.wire.frames import FIRST, LAST, Kind
from modelyard.wire.messages import (
    Data,
    Input,
    MultiOutputResponse,
    Output,
    PostModelOutputsRequest,
    Status,
    StatusCode,
    Text,
)
from modelyard.wire.worker_errors import decode_error
from modelyard.worker.batching import Batcher, BatchRule
from modelyard.worker.invoke import Invoker
from modelyard.worker.load import LoadedModel
from modelyard.worker.task import Task
from modelyard.worker.together import Together

Answer = Callable[[list[str]], object]


def echo(texts: Iterable[str]) -> MultiOutputResponse:
    return MultiOutputResponse(outputs=[Output(data=Data(text=Text(raw=text))) for text in texts])


@dataclass
class Run:
    """One batch: who asked what, what predict was called with, and what each caller got."""

    calls: list[list[str]] = field(default_factory=list)
    answers: dict[int, MultiOutputResponse] = field(default_factory=dict)
    errors: dict[int, errors.ModelyardError] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list)
    finished: list[int] = field(default_factory=list)
    max_answer_chars: int = 1 << 30

    def send(self, kind: Kind, request_id: int = 0, payload: bytes = b"", flags: int = 0) -> None:
        assert request_id not in self.answers
        assert request_id not in self.errors
        if kind is Kind.ERROR:
            self.errors[request_id] = decode_error(payload)
            return
        if len(payload) > self.max_answer_chars:
            raise errors.TooLarge("too large")
        assert (kind, flags) == (Kind.ITEM, LAST)
        self.answers[request_id] = MultiOutputResponse.FromString(payload)

    def send_soon(self, kind: Kind, request_id: int, payload: bytes) -> None:
        self.send(kind, request_id, payload)

    def send_now(self) -> None:
        pass

    def gathering(self) -> AbstractContextManager[None]:
        return nullcontext()

    def finish(self, task: Task) -> None:
        self.finished.append(task.request_id)

    def texts(self) -> dict[int, list[str]]:
        return {number: [one.data.text.raw for one in got.outputs] for number, got in self.answers.items()}


def run(
    callers: list[list[str]],
    predict: Answer = echo,
    *,
    prepare: Callable[[Run], None] = lambda run: None,
    time_left_s: float | None = None,
    max_answer_chars: int = 1 << 30,
) -> Run:
    seen = Run(max_answer_chars=max_answer_chars)

    class Model(ModelRunner):
        def predict(self, request: PostModelOutputsRequest) -> object:  # type: ignore[override]
            seen.calls.append([one.data.text.raw for one in request.inputs])
            return predict(seen.calls[-1])

    batcher = Batcher(BatchRule(max_size=1024))
    for number, texts in enumerate(callers):
        message = PostModelOutputsRequest(inputs=[Input(data=Data(text=Text(raw=text))) for text in texts])
        task = Task(number, FIRST | LAST, message.SerializeToString(), lambda request_id, credit: None)
        seen.tasks.append(task)
        batcher.put(task, is_express=False)
    prepare(seen)
    model = LoadedModel(runner=Model(), methods=implemented_methods(Model))
    answer_batch(model, seen, batcher)
    assert sorted(seen.finished) == list(range(len(callers)))
    return seen


def answer_batch(model: LoadedModel, seen: Run, batcher: Batcher) -> None:
    together = Together(Invoker(model, Path(__file__).parent, seen))
    together.run(batcher.take(), seen.finish)
    while together.has_answers:
        together.send_next()


def refuse_poison(texts: list[str]) -> MultiOutputResponse:
    if any(text.startswith("poison") for text in texts):
        raise ValueError("I do not eat that")
    return echo(texts)


def test_one_call_answers_all_callers() -> None:
    seen = run([["a"], ["b", "c"], ["d"]])
    assert seen.calls == [["a", "b", "c", "d"]]
    assert seen.texts() == {0: ["a"], 1: ["b", "c"], 2: ["d"]}
    assert {one.status.code for one in seen.answers.values()} == {StatusCode.SUCCESS}


@given(st.lists(st.booleans(), min_size=1, max_size=33))
def test_each_poisoned_request_fails_alone_within_the_bound(poisoned: list[bool]) -> None:
    seen = run([["poison"] if bad else [f"{number}"] for number, bad in enumerate(poisoned)], refuse_poison)
    assert set(seen.errors) == {number for number, bad in enumerate(poisoned) if bad}
    assert seen.texts() == {number: [f"{number}"] for number, bad in enumerate(poisoned) if not bad}
    assert len(seen.calls) <= 2 * len(poisoned) - 1
    for number, bad in enumerate(poisoned):
        if not bad:
            assert sum(f"{number}" in call for call in seen.calls) <= 1 + math.ceil(math.log2(len(poisoned)))


def test_error_of_a_poisoned_request_is_that_of_its_own_call() -> None:
    error = run([["a"], ["poison"], ["b"]], refuse_poison).errors[1]
    assert type(error) is errors.PredictionFailed
    assert "I do not eat that" in error.message


def test_request_with_a_poisoned_input_among_others_fails_as_it_would_alone() -> None:
    seen = run([["a"], ["b", "poison", "c"]], refuse_poison)
    assert (set(seen.answers), set(seen.errors)) == ({0}, {1})


def test_out_of_memory_of_a_large_batch_is_cured_by_halves() -> None:
    def predict(texts: list[str]) -> MultiOutputResponse:
        if len(texts) > 2:
            raise MemoryError
        return echo(texts)

    assert run([[f"{number}"] for number in range(8)], predict).texts() == {n: [f"{n}"] for n in range(8)}


@pytest.mark.parametrize("given_back", [echo([]), echo(["one"]), echo(["1", "2", "3", "4"])])
def test_wrong_number_of_outputs_is_an_error_for_all_and_no_reason_to_call_again(
    given_back: MultiOutputResponse,
) -> None:
    seen = run([["a"], ["b"], ["c"]], lambda texts: given_back)
    assert len(seen.calls) == 1
    assert set(seen.errors) == {0, 1, 2}
    for error in seen.errors.values():
        assert type(error) is errors.InvalidModelOutput
        assert f"sent 3 inputs, merged from 3 requests, and returned {len(given_back.outputs)} output" in error.message


def test_wrong_number_of_outputs_is_told_to_a_lone_request_too() -> None:
    error = run([["a", "b"]], lambda texts: echo(["one"])).errors[0]
    assert "sent 2 inputs and returned 1 output;" in error.message


@pytest.mark.parametrize("given_back", [None, {"a": 1}])
def test_what_is_no_answer_is_told_to_all(given_back: object) -> None:
    seen = run([["a"], ["b"]], lambda texts: given_back)
    assert len(seen.calls) == 1
    assert {type(error) for error in seen.errors.values()} == {errors.InvalidModelOutput}


def test_failed_outputs_are_their_callers_alone() -> None:
    def predict(texts: list[str]) -> MultiOutputResponse:
        answer = echo(texts)
        for output in answer.outputs:
            if output.data.text.raw == "bad":
                output.status.CopyFrom(Status(code=StatusCode.INPUT_UNSUPPORTED_FORMAT, description="no picture"))
        return answer

    seen = run([["a"], ["bad"], ["b", "bad"]], predict)
    codes = {number: got.status.code for number, got in seen.answers.items()}
    assert codes == {0: StatusCode.SUCCESS, 1: StatusCode.FAILURE, 2: StatusCode.MIXED_STATUS}
    assert seen.answers[2].outputs[1].status.description == "no picture"


def test_failure_told_by_a_status_without_outputs_is_brought_home_too() -> None:
    def predict(texts: list[str]) -> MultiOutputResponse:
        if "bad" in texts:
            return MultiOutputResponse(status=Status(code=StatusCode.MODEL_PREDICTION_FAILED, description="oh"))
        return echo(texts)

    seen = run([["a"], ["bad"], ["b"]], predict)
    assert {number: got.status.code for number, got in seen.answers.items()} == {
        0: StatusCode.SUCCESS,
        1: StatusCode.MODEL_PREDICTION_FAILED,
        2: StatusCode.SUCCESS,
    }
    assert seen.answers[1].status.description == "oh"


def test_cancelled_request_is_not_in_the_call_and_gets_nothing() -> None:
    seen = run([["a"], ["b"]], prepare=lambda one: one.tasks[0].cancel())
    assert seen.calls == [["b"]]
    assert set(seen.answers) == {1}


def test_batch_whose_callers_are_all_gone_is_not_run() -> None:
    seen = run([["a"], ["b"]], prepare=lambda one: [task.cancel() for task in one.tasks])
    assert seen.calls == []


def test_request_whose_time_is_up_is_told_so_and_not_run() -> None:
    def expire(one: Run) -> None:
        one.tasks[1].deadline = 0.0

    seen = run([["a"], ["late"]], prepare=expire)
    assert seen.calls == [["a"]]
    assert type(seen.errors[1]) is errors.DeadlineExceeded


def test_caller_that_left_while_halves_are_tried_is_not_run_again() -> None:
    def predict(texts: list[str]) -> MultiOutputResponse:
        here.tasks[0].cancel()
        return refuse_poison(texts)

    here = Run()

    def keep(one: Run) -> None:
        here.tasks = one.tasks

    seen = run([["a"], ["b"], ["poison"], ["c"]], predict, prepare=keep)
    assert sum("a" in call for call in seen.calls) == 1
    assert set(seen.answers) == {1, 3}


def test_answer_that_may_not_travel_is_one_callers_trouble() -> None:
    seen = run([["a"], ["x" * 500], ["b"]], max_answer_chars=400)
    assert set(seen.answers) == {0, 2}
    assert type(seen.errors[1]) is errors.TooLarge
    assert len(seen.calls) == 1


def test_class_without_predict_says_so_to_all() -> None:
    class Empty(ModelRunner):
        pass

    seen = Run()
    batcher = Batcher(BatchRule(max_size=8))
    for number in range(2):
        payload = PostModelOutputsRequest(inputs=[Input()]).SerializeToString()
        batcher.put(Task(number, FIRST | LAST, payload, lambda request_id, credit: None), is_express=False)
    answer_batch(LoadedModel(runner=Empty(), methods=frozenset()), seen, batcher)
    assert {type(error) for error in seen.errors.values()} == {errors.NotImplementedByModel}
