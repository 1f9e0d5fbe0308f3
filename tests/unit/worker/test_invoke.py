from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from modelyard import errors
from modelyard.sdk.runner import ModelRunner, implemented_methods
from modelyard.wire.frames import FIRST, GENERATE, LAST, STREAM, Frame, Kind
from modelyard.wire.messages import Data, Input, MultiOutputResponse, Output, PostModelOutputsRequest, StatusCode, Text
from modelyard.wire.stats import Stats
from modelyard.wire.worker_errors import decode_error
from modelyard.worker.invoke import Invoker
from modelyard.worker.load import LoadedModel
from modelyard.worker.tally import Tally
from modelyard.worker.task import Task

HAS_TOKENS = "completion_tokens" in Output.DESCRIPTOR.fields_by_name
FLAGS = {"predict": FIRST | LAST, "generate": FIRST | LAST | GENERATE, "stream": FIRST | LAST | STREAM}


@dataclass
class Box:
    """An outbox that keeps what is sent; `on_send` may do something in between."""

    frames: list[Frame] = field(default_factory=list)
    on_send: Callable[[], None] = lambda: None

    def send(self, kind: Kind, request_id: int = 0, payload: bytes = b"", flags: int = 0) -> None:
        self.frames.append(Frame(kind, flags, request_id, payload))
        self.on_send()

    def send_soon(self, kind: Kind, request_id: int, payload: bytes) -> None:
        self.send(kind, request_id, payload)

    def send_now(self) -> None:
        pass

    def gathering(self) -> AbstractContextManager[None]:
        return nullcontext()

    @property
    def kinds(self) -> list[Kind]:
        return [frame.kind for frame in self.frames]

    @property
    def error(self) -> errors.ModelyardError:
        assert self.frames[-1].kind is Kind.ERROR
        return decode_error(self.frames[-1].payload)


def answer(text: str) -> MultiOutputResponse:
    return MultiOutputResponse(outputs=[Output(data=Data(text=Text(raw=text)))])


def request(text: str = "x", *, inputs: int = 1) -> PostModelOutputsRequest:
    return PostModelOutputsRequest(inputs=[Input(data=Data(text=Text(raw=text)))] * inputs)


def run(
    runner: ModelRunner,
    method: str,
    message: PostModelOutputsRequest | bytes | None = None,
    *,
    box: Box | None = None,
    prepare: Callable[[Task], None] = lambda task: None,
    tally: Tally | None = None,
) -> Box:
    box = box or Box()
    payload = message if isinstance(message, bytes) else (message or request()).SerializeToString()
    task = Task(1, FLAGS[method], payload, lambda request_id, credit: None)
    prepare(task)
    model = LoadedModel(runner=runner, methods=implemented_methods(type(runner)))
    Invoker(model, Path(__file__).parent, box, tally).run(task)
    return box


class Good(ModelRunner):
    closed = False

    def predict(self, request: PostModelOutputsRequest) -> MultiOutputResponse:  # type: ignore[override]
        return answer(request.inputs[0].data.text.raw)

    def generate(self, request: PostModelOutputsRequest) -> Iterator[MultiOutputResponse]:  # type: ignore[override]
        try:
            for word in request.inputs[0].data.text.raw.split():
                yield answer(word)
        finally:
            self.closed = True

    def stream(self, requests: Iterator[PostModelOutputsRequest]) -> Iterator[MultiOutputResponse]:  # type: ignore[override]
        for one in requests:
            yield answer(one.inputs[0].data.text.raw.upper())


class Empty(ModelRunner):
    pass


class Bad(ModelRunner):
    def __init__(self, result: object) -> None:
        self.result = result

    def predict(self, request: object) -> object:  # type: ignore[override]
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result

    generate = predict  # type: ignore[assignment]
    stream = predict  # type: ignore[assignment]


def test_predict_is_one_item_that_is_the_last() -> None:
    box = run(Good(), "predict", request("hello"))
    assert box.kinds == [Kind.ITEM]
    assert box.frames[0].flags == LAST
    assert MultiOutputResponse.FromString(box.frames[0].payload).outputs[0].data.text.raw == "hello"


def test_generate_is_items_and_an_end() -> None:
    assert run(Good(), "generate", request("a b")).kinds == [Kind.ITEM, Kind.ITEM, Kind.END]


def test_stream_is_items_and_an_end() -> None:
    assert run(Good(), "stream", request("a")).kinds == [Kind.ITEM, Kind.END]


@pytest.mark.parametrize("method", ["predict", "generate", "stream"])
def test_method_that_is_not_there_is_told(method: str) -> None:
    error = run(Empty(), method).error
    assert type(error) is errors.NotImplementedByModel
    assert f"{method} is not implemented by this model" in error.message


@pytest.mark.parametrize("result", [None, {"a": 1}, "text", 3])
@pytest.mark.parametrize("method", ["predict", "generate", "stream"])
def test_what_is_no_answer_is_told_with_its_type(method: str, result: object) -> None:
    error = run(Bad(result), method).error
    assert type(error) is errors.InvalidModelOutput
    assert ("None" if result is None else type(result).__name__) in error.message


@pytest.mark.parametrize("method", ["generate", "stream"])
def test_list_with_something_else_in_it_gives_what_came_before(method: str) -> None:
    box = run(Bad([answer("a"), "b"]), method)
    assert box.kinds == [Kind.ITEM, Kind.ERROR]
    assert "type str" in box.error.message


@pytest.mark.parametrize("raised", [ValueError("bad label"), MemoryError("bad label"), SystemExit("bad label")])
def test_exception_fails_the_request_with_its_place(raised: BaseException) -> None:
    error = run(Bad(raised), "predict").error
    assert type(error) is errors.PredictionFailed
    assert "bad label" in error.message
    assert "test_invoke.py line" in error.message
    assert "in predict)" in error.message


def test_our_errors_about_the_input_pass_as_they_are() -> None:
    assert type(run(Bad(errors.InvalidInput("not a picture")), "predict").error) is errors.InvalidInput


def test_errors_that_an_author_cannot_cause_do_not_pass() -> None:
    assert type(run(Bad(errors.Unauthenticated("no")), "predict").error) is errors.PredictionFailed


def test_request_that_cannot_be_read_is_refused() -> None:
    assert type(run(Good(), "predict", b"\xff\xff").error) is errors.InvalidRequest


def test_model_without_signatures_says_so_in_an_answer() -> None:
    asking = request()
    asking.inputs[0].data.metadata["_method_name"] = "_GET_SIGNATURES"
    box = run(Empty(), "predict", asking)
    response = MultiOutputResponse.FromString(box.frames[0].payload)
    assert response.status.code == StatusCode.INPUT_UNSUPPORTED_FORMAT


@pytest.mark.parametrize("method", ["predict", "generate", "stream"])
def test_cancelled_request_sends_nothing(method: str) -> None:
    assert run(Good(), method, prepare=Task.cancel).frames == []


def test_generator_is_closed_when_the_caller_goes_away() -> None:
    runner, box = Good(), Box()
    tasks: list[Task] = []
    box.on_send = lambda: tasks[0].cancel()
    run(runner, "generate", request("a b c"), box=box, prepare=tasks.append)
    assert box.kinds == [Kind.ITEM]
    assert runner.closed


def test_too_few_outputs_go_out_and_are_logged_once(capfd: pytest.CaptureFixture[str]) -> None:
    box = Box()
    invoker = Invoker(LoadedModel(runner=Good(), methods=frozenset({"predict"})), Path(), box)
    for _ in range(2):
        payload = request(inputs=3).SerializeToString()
        invoker.run(Task(1, FLAGS["predict"], payload, lambda request_id, credit: None))
    assert box.kinds == [Kind.ITEM, Kind.ITEM]
    assert capfd.readouterr().err.count("1 outputs for 3 inputs") == 1


class Telling(ModelRunner):
    """Tells its tokens, where this clarifai-grpc has them; fails for the text `fail`."""

    def predict(self, request: PostModelOutputsRequest) -> MultiOutputResponse:
        if request.inputs[0].data.text.raw == "fail":
            raise ValueError("no")
        tokens = {"completion_tokens": 3} if HAS_TOKENS else {}
        return MultiOutputResponse(outputs=[Output(**tokens) for _ in request.inputs])

    def generate(self, request: PostModelOutputsRequest) -> Iterator[MultiOutputResponse]:
        yield self.predict(request)
        yield self.predict(request)


@pytest.mark.parametrize(("method", "times"), [("predict", 1), ("generate", 2)])
def test_what_the_class_gave_is_counted(method: str, times: int) -> None:
    tally = Tally()
    run(Telling(), method, request(inputs=2), tally=tally)
    made = Stats.decode(tally.encode()).made
    assert made["outputs"] == 2 * times
    assert made["completion_tokens"] == (6 * times if HAS_TOKENS else 0)


def test_calls_that_fail_are_counted_and_what_is_not_implemented_is_not() -> None:
    tally = Tally()
    run(Telling(), "predict", request("fail", inputs=3), tally=tally)
    run(ModelRunner(), "predict", tally=tally)
    stats = Stats.decode(tally.encode())
    assert (sum(stats.counts["predict_s"]), sum(stats.counts["wait_s"])) == (1, 1)
    assert (stats.totals["batch_inputs"], stats.made["outputs"]) == (3, 0)
