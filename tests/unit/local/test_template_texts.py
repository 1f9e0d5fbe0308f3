"""The text templates, which need nothing but the standard library, in this process: parameters, chats and chunks."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from modelyard.local.catalog import find_template
from modelyard.local.init import Start, start_folder
from modelyard.sdk.finder import find_runner_class
from modelyard.wire.messages import MultiOutputResponse, PostModelOutputsRequest, StatusCode


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)

    def load_template(name: str) -> Any:
        folder = tmp_path / name
        start_folder(folder, Start(template=find_template(name), model_id=name, python_version="3.11"))
        sys.path.insert(0, str(folder / "1"))
        runner = find_runner_class(import_model(folder))()
        runner.load_model()
        return runner

    yield load_template
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def import_model(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"model_of_{folder.name}", folder / "1" / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def ask(*texts: str, **params: Any) -> PostModelOutputsRequest:
    request = PostModelOutputsRequest()
    request.model.id = "m"
    for text in texts:
        request.inputs.add().data.text.raw = text
    request.model.model_version.output_info.params.update(params)
    return request


def read(answer: MultiOutputResponse) -> list[str]:
    return [output.data.text.raw for output in answer.outputs]


def join(answers: Iterator[MultiOutputResponse]) -> list[str]:
    return ["".join(pieces) for pieces in zip(*(read(answer) for answer in answers), strict=True)]


def failure(answer: MultiOutputResponse, number: int = 0) -> str:
    output = answer.outputs[number]
    assert output.status.code == StatusCode.MODEL_INVALID_ARGUMENT
    return str(output.status.description)


def test_what_is_streamed_is_what_is_predicted(load: Any) -> None:
    model = load("text-to-text")
    request = ask("The model", "", "Load the weights", seed=7)
    assert join(model.generate(request)) == read(model.predict(request))
    assert join(model.stream(iter([request]))) == read(model.predict(request))


def test_temperature_0_is_always_the_same_and_seeds_differ(load: Any) -> None:
    model = load("text-to-text")
    assert len({read(model.predict(ask("A", temperature=0)))[0] for _ in range(5)}) == 1
    assert len({read(model.predict(ask("A", temperature=2, seed=seed)))[0] for seed in range(1, 20)}) > 1


def test_no_more_than_max_tokens_come(load: Any) -> None:
    assert len(read(load("text-to-text").predict(ask("A model", max_tokens=3, temperature=0)))[0].split()) <= 3


@pytest.mark.parametrize(
    ("param", "told"),
    [
        ({"temperature": 5}, "temperature is 5; it has to be 0 to 2"),
        ({"top_p": 0}, "top_p is 0; it has to be above 0 and at most 1"),
        ({"max_tokens": 1.5}, "max_tokens is 1.5; it has to be a whole number"),
        ({"max_tokens": 0}, "max_tokens is 0; it has to be 1 to 1000"),
        ({"seed": "x"}, "seed is 'x'; it has to be a whole number"),
        ({"top_p": True}, "top_p is True; it has to be a number"),
    ],
)
def test_wrong_parameters_are_the_callers_fault(param: dict[str, Any], told: str, load: Any) -> None:
    model = load("text-to-text")
    answer = model.predict(ask("one", "two", **param))
    assert [failure(answer, 0), failure(answer, 1)] == [told, told]
    (answer,) = model.generate(ask("one", **param))
    assert failure(answer) == told


def chat(*contents: Any, **settings: Any) -> str:
    return json.dumps({"messages": [{"role": "user", "content": content} for content in contents], **settings})


def test_plain_text_is_answered_in_plain_text(load: Any) -> None:
    request = ask("I need a holiday", temperature=0)
    model = load("openai")
    assert read(model.predict(request)) == ["Why do you need a holiday?"]
    assert join(model.generate(request)) == ["Why do you need a holiday?"]


@pytest.mark.parametrize("given", [[{"role": "user", "content": "I need you"}], chat("I need you")[13:-1]])
def test_messages_may_come_as_a_parameter(given: Any, load: Any) -> None:
    assert read(load("openai").predict(ask("", messages=given, temperature=0))) == ["Why do you need I?"]


def test_the_parts_of_a_message_are_joined(load: Any) -> None:
    parts = [{"type": "text", "text": "I need "}, {"type": "text", "text": "my cat"}]
    answer = json.loads(read(load("openai").predict(ask(chat(parts, temperature=0))))[0])
    assert answer["choices"][0]["message"]["content"] == "Why do you need your cat?"


def test_a_stop_sequence_is_not_part_of_the_answer_nor_of_a_chunk(load: Any) -> None:
    model = load("openai")
    request = ask(chat("I need a long holiday", temperature=0, stop=["need a l", "zzz"]))
    answer = json.loads(read(model.predict(request))[0])
    assert answer["choices"][0] | {"index": 0} == {
        "index": 0,
        "message": {"role": "assistant", "content": "Why do you "},
        "finish_reason": "stop",
    }
    chunks = [json.loads(read(one)[0]) for one in model.generate(request)]
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == "Why do you "


def test_an_answer_that_is_cut_off_says_so(load: Any) -> None:
    answer = json.loads(read(load("openai").predict(ask(chat("I need a holiday", temperature=0, max_tokens=2))))[0])
    assert answer["choices"][0]["message"]["content"] == "Why do"
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"] == {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}
    assert answer["model"] == "m"


def test_an_answer_that_just_fits_is_whole(load: Any) -> None:
    answer = json.loads(read(load("openai").predict(ask(chat("I need rest", temperature=0, max_tokens=5))))[0])
    assert answer["choices"][0]["message"]["content"] == "Why do you need rest?"
    assert answer["choices"][0]["finish_reason"] == "stop"


def test_settings_that_are_null_are_not_given(load: Any) -> None:
    answer = read(load("openai").predict(ask(chat("hello", temperature=None, stop=None, max_tokens=None))))[0]
    assert json.loads(answer)["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"messages": []}', "messages is empty or not a list"),
        ('{"messages": [{"role": "king", "content": "x"}]}', "messages[0] needs a role: system, developer, user"),
        ('{"messages": [{"role": "user", "content": 5}]}', "messages[0].content has to be a text or a list of parts"),
        (chat([{"type": "image_url"}]), "messages[0] has parts of type image_url; this model reads text"),
        (chat("x", n=2), "n is 2; this model gives one answer"),
        (chat("x", temperature=3), "temperature is 3; it has to be 0 to 2"),
        (chat("x", max_tokens="many"), "max_tokens is 'many'"),
        ("", "messages is empty or not a list; send at least one message, or a text"),
    ],
)
def test_a_wrong_chat_fails_alone(text: str, told: str, load: Any) -> None:
    model = load("openai")
    answer = model.predict(ask("hello", text))
    assert answer.outputs[0].status.code == StatusCode.SUCCESS
    assert told in failure(answer, 1)
    (first,) = islice(model.generate(ask(text)), 1)
    assert told in failure(first)


@pytest.mark.parametrize("text", ["{braces", "{}", '{"a": 1}', "[1, 2]", "null"])
def test_json_that_is_no_request_is_what_the_user_says(text: str, load: Any) -> None:
    (answer,) = read(load("openai").predict(ask(text)))
    assert not answer.startswith("{")


def test_a_fault_of_the_model_is_not_told_as_the_callers(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load("openai")

    def reply(*_: Any) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(model.model, "reply", reply)
    with pytest.raises(ValueError, match="a bug"):
        model.predict(ask("hello"))
    with pytest.raises(ValueError, match="a bug"):
        list(model.generate(ask("hello")))


def test_the_typed_template_tells_what_a_text_is_about(load: Any) -> None:
    model = load("typed")
    text = "The light is on. A keeper keeps the light, and the light keeps the ships. Good night."
    assert model.predict(text) == "A keeper keeps the light, and the light keeps the ships."
    assert model.predict(text, sentences=2).startswith("The light is on. A keeper")
    assert [(one.name, one.value) for one in model.keywords(text, top=2)] == [("light", 1.0), ("keeps", 2 / 3)]
    assert next(model.generate(text)).startswith("A keeper")
    assert [(one.words, one.keyword) for one in model.stream(iter([text, ""]))] == [(17, "light"), (0, "")]
    assert model.predict("") == ""
