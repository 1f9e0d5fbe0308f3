"""`modelyard predict`: inputs in every form, answers as people and programs read them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import InvalidInput, PredictionFailed
from modelyard.wire.messages import (
    MethodSignature,
    ModelVersion,
    MultiOutputResponse,
    Output,
    SingleModelVersionResponse,
    Status,
    StatusCode,
)
from modelyard.wire.status import success


def make_answer(*texts: str) -> MultiOutputResponse:
    return MultiOutputResponse(status=success(), outputs=[Output(data={"text": {"raw": text}}) for text in texts])


@pytest.fixture
def shouter(answers: Any) -> Any:
    """Predict shouts each text; generate says its words."""

    def generate(request: Any) -> Iterator[MultiOutputResponse]:
        yield from (make_answer(word + " ") for word in request.inputs[0].data.text.raw.split())

    answers.by_name["PostModelOutputs"] = lambda request: make_answer(
        *(one.data.text.raw.upper() for one in request.inputs)
    )
    answers.by_name["GenerateModelOutputs"] = generate
    return answers


def asked(answers: Any) -> Any:
    return answers.asked_of("PostModelOutputs")[0]


def test_a_text_is_answered_with_a_text(shouter: Any, run: Any) -> None:
    done = run("predict", "ann/shop/loud@v1", "--text", "hi")
    assert (done.exit_code, done.stdout) == (0, "HI\n")
    request = asked(shouter)
    assert (request.user_app_id.app_id, request.model_id, request.version_id) == ("shop", "loud", "v1")


def test_several_inputs_travel_together(shouter: Any, run: Any) -> None:
    assert run("predict", "loud", "--text", "a", "--text", "b").stdout.splitlines() == [
        "output 1",
        "A",
        "output 2",
        "B",
    ]
    assert len(shouter.asked_of("PostModelOutputs")) == 1


def test_a_text_is_read_from_stdin(shouter: Any, run: Any) -> None:
    assert run("predict", "loud", "--text", "-", stdin="from a pipe").stdout == "FROM A PIPE\n"


@pytest.mark.parametrize("kind", ["image", "audio", "video"])
def test_media_are_read_from_stdin_byte_by_byte(shouter: Any, run: Any, kind: str) -> None:
    assert run("predict", "loud", f"--{kind}", "-", stdin=b"\x89\xff\r\n\x00").exit_code == 0
    assert getattr(asked(shouter).inputs[0].data, kind).base64 == b"\x89\xff\r\n\x00"


def test_an_empty_stdin_is_no_image(shouter: Any, run: Any) -> None:
    assert isinstance(run("predict", "loud", "--image", "-", stdin=b"").exception, InvalidInput)
    assert shouter.asked == []


def test_params_are_json_or_texts(shouter: Any, run: Any) -> None:
    run("predict", "loud", "--text", "x", "--param", "temperature=0.5", "--param", "style=calm=ish")
    params = asked(shouter).model.model_version.output_info.params
    assert (params["temperature"], params["style"]) == (0.5, "calm=ish")


def test_json_alone_is_the_output_switch(shouter: Any, run: Any) -> None:
    document = json.loads(run("predict", "loud", "--text", "hi", "--json").stdout)
    assert document["outputs"][0]["data"]["text"]["raw"] == "HI"


def test_json_with_a_document_is_the_input_too(shouter: Any, run: Any) -> None:
    done = run("predict", "loud", "--json", '{"text": {"raw": "hi"}}')
    assert json.loads(done.stdout)["outputs"][0]["data"]["text"]["raw"] == "HI"


def test_a_document_is_read_from_a_file(shouter: Any, run: Any, tmp_path: Path) -> None:
    (tmp_path / "input.json").write_text('[{"text": {"raw": "a"}}]')
    assert run("predict", "loud", "--input", f"@{tmp_path / 'input.json'}").stdout == "A\n"


def test_a_streamed_answer_is_written_as_it_comes(shouter: Any, run: Any) -> None:
    assert run("predict", "loud", "--text", "one two", "--stream").stdout == "one two \n"


def test_a_streamed_answer_as_json_is_one_line_each(shouter: Any, run: Any) -> None:
    lines = run("predict", "loud", "--text", "one two", "--stream", "--json").stdout.splitlines()
    assert [json.loads(line)["outputs"][0]["data"]["text"]["raw"] for line in lines] == ["one ", "two "]


@pytest.mark.parametrize("arguments", [(), ("--param", "=x", "--text", "a"), ("--input", "@gone.json")])
def test_what_cannot_be_sent_is_refused_before_anything_is(shouter: Any, run: Any, arguments: tuple[str, ...]) -> None:
    assert isinstance(run("predict", "loud", *arguments).exception, InvalidInput)
    assert shouter.asked == []


def test_an_answer_that_failed_in_parts_is_shown_and_fails_the_command(answers: Any, run: Any) -> None:
    answer = make_answer("fine", "")
    answer.status.code = StatusCode.MIXED_STATUS
    answer.outputs[1].status.CopyFrom(Status(code=StatusCode.FAILURE, description="too dark"))
    answers.by_name["PostModelOutputs"] = lambda _: answer
    done = run("predict", "m", "--text", "a", "--text", "b")
    assert "fine" in done.stdout
    assert isinstance(done.exception, PredictionFailed)
    assert done.exception.message == "output 2 of 2 failed: too dark"


@pytest.fixture
def typed(answers: Any) -> Any:
    """`repeat(text: str, times: int = 2, picture: Image, options: dict)` and `count(n: int) -> Iterator[int]`."""
    repeat = MethodSignature(
        name="repeat",
        method_type="UNARY_UNARY",
        input_fields=[
            {"name": "text", "type": "STR", "required": True},
            {"name": "times", "type": "INT", "default": "2"},
            {"name": "picture", "type": "IMAGE", "default": "null"},
            {"name": "options", "type": "JSON_DATA", "default": "{}"},
            {"name": "names", "type": "LIST", "type_args": [{"name": "names_item", "type": "STR"}], "default": "[]"},
            {"name": "label", "type": "CONCEPT", "default": "null"},
            {"name": "parts", "type": "LIST", "type_args": [{"name": "parts_item", "type": "REGION"}], "default": "[]"},
            {"name": "frame", "type": "FRAME", "default": "null"},
            {
                "name": "pair",
                "type": "TUPLE",
                "type_args": [{"name": "pair_item", "type": "IMAGE"}, {"name": "pair_item", "type": "INT"}],
                "default": "null",
            },
            {
                "name": "fields",
                "type": "NAMED_FIELDS",
                "type_args": [{"name": "picture", "type": "IMAGE"}, {"name": "blob", "type": "BYTES"}],
                "default": "null",
            },
        ],
    )
    count = MethodSignature(
        name="count", method_type="UNARY_STREAMING", input_fields=[{"name": "n", "type": "INT", "required": True}]
    )
    version = ModelVersion(id="v1", method_signatures=[repeat, count])
    answers.by_name["GetModelVersion"] = lambda request: SingleModelVersionResponse(
        status=success(), model_version=version
    )

    def answer(**fields: Any) -> MultiOutputResponse:
        parts = [{"id": "return", "data": fields}]
        return MultiOutputResponse(status=success(), outputs=[Output(data={"parts": parts})])

    answers.by_name["PostModelOutputs"] = lambda request: answer(string_value="done")
    answers.by_name["GenerateModelOutputs"] = lambda request: iter([answer(int_value=1), answer(int_value=2)])
    return answers


def test_a_typed_method_is_called_by_name_with_arguments_of_its_types(typed: Any, run: Any, tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(b"png")
    given = ["text=a=b", "times=3", f"picture=@{tmp_path}/p.png", 'options={"a": 1}', 'names=["x"]']
    done = run("predict", "m", "--method", "repeat", *(word for one in given for word in ("--arg", one)))
    assert (done.exit_code, done.stdout) == (0, "done\n")
    data = asked(typed).inputs[0].data
    assert data.metadata["_method_name"] == "repeat"
    parts = {part.id: part.data for part in data.parts}
    assert (parts["text"].string_value, parts["times"].int_value, parts["picture"].image.base64) == ("a=b", 3, b"png")
    assert parts["options"].struct_value["a"] == 1
    assert parts["names"].parts[0].data.string_value == "x"


def test_concepts_regions_and_frames_are_given_as_json_with_files_in_them(typed: Any, run: Any, tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(b"png")
    picture = f"@{tmp_path}/p.png"
    given = {
        "text": "a",
        "label": json.dumps({"name": "school bus", "value": 0.5}),
        "parts": json.dumps([{"box": [0, 0.25, 0.5, 1], "concepts": [{"name": "bus"}], "track_id": "t"}]),
        "frame": json.dumps({"image": picture, "time": 1.5, "regions": [{"point": [1, 2, 3], "mask": picture}]}),
        "pair": json.dumps(["http://127.0.0.1/p.png", 3]),
        "fields": json.dumps({"picture": picture, "blob": picture}),
    }
    done = run(
        "predict", "m", "--method", "repeat", *(word for one in given.items() for word in ("--arg", "=".join(one)))
    )
    assert done.exit_code == 0, done.exception
    parts = {part.id: part.data for part in asked(typed).inputs[0].data.parts}
    (label,) = parts["label"].concepts
    assert (label.id, label.name, label.value) == ("school-bus", "school bus", 0.5)
    (region,) = parts["parts"].regions
    box = region.region_info.bounding_box
    assert (box.left_col, box.top_row, box.right_col, box.bottom_row) == (0, 0.25, 0.5, 1)
    assert (region.data.concepts[0].name, region.track_id) == ("bus", "t")
    (frame,) = parts["frame"].frames
    assert (frame.data.image.base64, frame.frame_info.time) == (b"png", 1500)
    assert frame.data.regions[0].region_info.point.col == 1
    assert frame.data.regions[0].region_info.mask.image.base64 == b"png"
    assert [part.data.image.url for part in parts["pair"].parts] == ["http://127.0.0.1/p.png", ""]
    inner = {part.id: part.data for part in parts["fields"].parts}
    assert (inner["picture"].image.base64, inner["blob"].bytes_value) == (b"png", b"png")


def test_what_a_typed_method_yields_is_printed_as_it_comes(typed: Any, run: Any) -> None:
    done = run("predict", "m", "--method", "count", "--arg", "n=2")
    assert (done.exit_code, done.stdout.split()) == (0, ["1", "2"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "nothing"], "the model has no method 'nothing'; it has repeat, count"),
        (["--method", "repeat"], "repeat needs text"),
        (["--arg", "text=a", "--arg", "size=1"], "--arg 'size=1' is not NAME=VALUE of an argument of repeat: text,"),
        (["--arg", "text=a", "--arg", "times=x"], "--arg times=x: it is read as JSON, and is none"),
        (["--arg", "text=a", "--arg", 'times="x"'], "--arg times: is a value of type str; int is expected"),
        (["--arg", "text=a", "--arg", "picture=@nowhere.png"], "--arg picture=@nowhere.png: No such file"),
        (["--arg", "text=a", "--arg", 'label={"title": "b"}'], '--arg label={"title": "b"}: no concept has title'),
        (["--arg", "text=a", "--arg", "label={}"], "--arg label={}: it makes no concept: "),
        (["--arg", "text=a", "--arg", 'label="bus"'], "--arg label: is a value of type str; Concept is expected"),
        (
            ["--arg", "text=a", "--arg", 'parts=[{"box": [1]}]'],
            '--arg parts=[{"box": [1]}]: it makes no region: a box has 4',
        ),
        (["--arg", "text=a", "--arg", 'frame={"image": "@no"}'], '--arg frame={"image": "@no"}: No such file'),
    ],
)
def test_a_wrong_argument_is_told_before_anything_is_sent(
    typed: Any, run: Any, arguments: list[str], message: str
) -> None:
    done = run("predict", "m", *arguments)
    assert isinstance(done.exception, InvalidInput)
    assert done.exception.message.startswith(message)
    assert not typed.asked_of("PostModelOutputs")
