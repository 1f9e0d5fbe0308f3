"""Requests as clients send them, old ones and new ones, to typed methods."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from modelyard import errors
from modelyard.sdk.model_class import ModelClass
from modelyard.sdk.runner import implemented_methods
from modelyard.sdk.values.all import Image, Param
from modelyard.wire.frames import Kind
from modelyard.wire.messages import Data, Input, MultiOutputResponse, PostModelOutputsRequest
from modelyard.worker.front import make_front

from .test_invoke import run


class Model(ModelClass):
    closed = False

    @ModelClass.method
    def predict(self, text: str = "?", times: int = Param(default=1)) -> str:  # type: ignore[override,assignment]
        return text * times

    @ModelClass.method
    def look(self, picture: Image, label: str) -> str:
        return f"{len(picture.bytes)} {label}"

    @ModelClass.method
    async def later(self, text: str) -> list[str]:
        return [text]

    @ModelClass.method
    def generate(self, text: str) -> Iterator[str]:  # type: ignore[override]
        try:
            yield from text.split()
        finally:
            self.closed = True

    @ModelClass.method
    async def count(self, n: int) -> AsyncIterator[int]:
        for number in range(n):
            yield number

    @ModelClass.method
    def stream(self, words: Iterator[str], mark: str = "!") -> Iterator[str]:  # type: ignore[override]
        for word in words:
            yield word + mark

    @ModelClass.method
    def maybe(self, text: str) -> str | None:
        return text or None

    @ModelClass.method
    def tokens(self) -> str:
        self.set_output_context(prompt_tokens=5, completion_tokens=2)
        return ""

    @ModelClass.method
    def lie(self) -> int:
        return "x"  # type: ignore[return-value]


class One(ModelClass):
    @ModelClass.method
    def translate(self, text: str, to: str = "de") -> str:
        return f"{to}:{text}"


class Whole(ModelClass):
    def PostModelOutputs(self, request: PostModelOutputsRequest) -> MultiOutputResponse:  # noqa: N802
        return MultiOutputResponse(outputs=[{"data": {"string_value": one.data.text.raw}} for one in request.inputs])


def ask(method: str = "", *inputs: dict[str, dict[str, Any]], params: dict[str, object] | None = None) -> Any:
    """A request with parts: each input is argument -> fields of `Data`."""
    request = PostModelOutputsRequest()
    for one in inputs or ({},):
        data = request.inputs.add().data
        for name, fields in one.items():
            part = data.parts.add()
            part.id = name
            part.data.CopyFrom(Data(**fields))
        if method:
            data.metadata["_method_name"] = method
    if params:
        request.model.model_version.output_info.params.update(params)
    return request


def plain(**fields: Any) -> PostModelOutputsRequest:
    return PostModelOutputsRequest(inputs=[Input(data=Data(**fields))])


def texts(answers: object) -> list[list[str]]:
    return [[one.data.parts[0].data.string_value for one in answer.outputs] for answer in answers]  # type: ignore[attr-defined]


def predict(request: PostModelOutputsRequest, model: ModelClass | None = None) -> Any:
    return make_front(model or Model()).predict(request)


def test_arguments_come_by_name_and_the_result_is_a_part() -> None:
    answer = predict(ask("predict", {"text": {"string_value": "ab"}, "times": {"int_value": 2}}))
    assert [(part.id, part.data.string_value) for part in answer.outputs[0].data.parts] == [("return", "abab")]
    assert not answer.outputs[0].data.HasField("text")


def test_an_argument_that_is_not_sent_has_its_default_and_an_empty_part_is_zero() -> None:
    assert texts([predict(ask("predict", {"text": {}}))]) == [[""]]
    assert texts([predict(ask("predict", {"times": {"int_value": 3}}))]) == [["???"]]


def test_each_input_is_a_call() -> None:
    answer = predict(ask("predict", {"text": {"string_value": "a"}}, {"text": {"string_value": "b"}}))
    assert texts([answer]) == [["a", "b"]]


def test_without_a_name_the_method_is_that_of_the_call() -> None:
    assert texts([predict(ask("", {"text": {"string_value": "a"}}))]) == [["a"]]
    assert texts([predict(ask("", {"text": {"string_value": "a"}}), One())]) == [["de:a"]]


def test_old_clients_send_plain_data_and_read_it() -> None:
    answer = predict(plain(text={"raw": "old"}))
    assert answer.outputs[0].data.text.raw == "old"
    assert answer.outputs[0].data.string_value == "old"
    assert answer.outputs[0].data.parts[0].id == "return"


def test_arguments_are_looked_for_in_params_too() -> None:
    request = plain(text={"raw": "x"})
    request.model.model_version.output_info.params.update({"times": 2, "other": "ignored"})
    assert texts([predict(request)]) == [["xx"]]
    request = plain(image={"base64": b"abc"})
    request.inputs[0].data.metadata["_method_name"] = "look"
    request.model.model_version.output_info.params["label"] = "three"
    assert texts([predict(request)]) == [["3 three"]]


def test_coroutines_and_async_generators_are_methods_too() -> None:
    answer = predict(ask("later", {"text": {"string_value": "a"}}))
    assert answer.outputs[0].data.parts[0].data.parts[0].data.string_value == "a"
    answers = make_front(Model()).generate(ask("count", {"n": {"int_value": 2}}))
    assert [one.outputs[0].data.parts[0].data.int_value for one in answers] == [0, 1]  # type: ignore[attr-defined]


def test_generate_answers_piece_by_piece_and_is_closed() -> None:
    model = Model()
    assert texts(make_front(model).generate(ask("", {"text": {"string_value": "a b"}}))) == [["a"], ["b"]]
    assert model.closed
    model = Model()
    answers = iter(make_front(model).generate(ask("", {"text": {"string_value": "a b"}})))  # type: ignore[call-overload]
    next(answers)
    answers.close()
    assert model.closed


def test_generate_of_several_inputs_keeps_their_places() -> None:
    request = ask("", {"text": {"string_value": "a b"}}, {"text": {"string_value": "c"}})
    answers = list(make_front(Model()).generate(request))  # type: ignore[call-overload]
    assert [len(one.outputs) for one in answers] == [2, 2]
    assert not answers[1].outputs[1].data.parts


def test_the_first_message_of_a_stream_brings_the_arguments() -> None:
    first = ask("stream", {"words": {"string_value": "a"}, "mark": {"string_value": "#"}})
    rest = [ask("stream", {"words": {"string_value": "b"}}), plain(text={"raw": "c"})]
    assert texts(make_front(Model()).stream(iter([first, *rest]))) == [["a#"], ["b#"], ["c#"]]
    assert texts(make_front(Model()).stream(iter([ask("stream", {"mark": {}}), *rest]))) == [["b"], ["c"]]
    assert list(make_front(Model()).stream(iter([]))) == []  # type: ignore[call-overload]


def test_none_is_an_answer_where_the_annotation_says_so() -> None:
    assert not predict(ask("maybe", {"text": {}})).outputs[0].data.parts


def test_tokens_are_told_with_the_output() -> None:
    output = predict(ask("tokens")).outputs[0]
    assert (output.prompt_tokens, output.completion_tokens) == (5, 2)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (ask("nothing"), "this model has no method 'nothing'; it has predict (predict), look (predict),"),
        (ask("look", {"label": {"string_value": "a"}}), "look: argument picture (Image) is missing"),
        (ask("look"), "look: argument picture (Image), label (str) is missing"),
        (ask("predict", {"txt": {"string_value": "a"}}), "predict has no argument 'txt'"),
        (ask("predict", {"times": {"string_value": "a"}}), "predict: argument times came as string_value; int is exp"),
        (ask("predict", {}, params={"times": "a"}), "predict: argument times is a value of type str; int is expected"),
        (ask("generate", {"text": {}}), "generate is a method to generate, not to predict"),
    ],
)
def test_a_wrong_request_is_told(request_: PostModelOutputsRequest, message: str) -> None:
    error = run(Model(), "predict", request_).error
    assert type(error) is errors.InvalidRequest
    assert error.message.startswith(message)
    assert "text: str = '?', times: int = 1" in error.hint or "predict(" not in error.hint


def test_a_wrong_item_ends_its_stream() -> None:
    messages = iter([ask("stream", {"words": {"string_value": "a"}}), ask("stream", {"words": {"int_value": 1}})])
    with pytest.raises(errors.InvalidRequest, match="argument words came as int_value"):
        list(make_front(Model()).stream(messages))  # type: ignore[call-overload]


def test_a_result_of_another_type_is_told_to_the_author() -> None:
    error = run(Model(), "predict", ask("lie")).error
    assert type(error) is errors.InvalidModelOutput
    assert error.message == "lie: its result is a value of type str; int is expected"


def test_a_kind_that_no_method_has_is_told() -> None:
    error = run(One(), "generate", plain(text={"raw": "a"})).error
    assert type(error) is errors.NotImplementedByModel
    assert error.message == "generate is not implemented by this model; it implements predict"


def test_signatures_are_told_by_name() -> None:
    box = run(One(), "predict", ask("_GET_SIGNATURES"))
    assert box.kinds == [Kind.ITEM]
    answer = MultiOutputResponse.FromString(box.frames[0].payload)
    found = json.loads(answer.outputs[0].data.text.raw)
    assert list(found) == ["translate"]
    assert found["translate"]["inputFields"][1] == {"name": "to", "type": "STR", "default": "de"}


def test_what_a_class_implements_is_told_by_kinds() -> None:
    assert implemented_methods(Model) == {"predict", "generate", "stream"}
    assert implemented_methods(One) == {"predict"}
    assert implemented_methods(Whole) == {"predict"}


def test_whole_requests_go_where_they_are_taken() -> None:
    assert predict(plain(text={"raw": "a"}), Whole()).outputs[0].data.string_value == "a"
