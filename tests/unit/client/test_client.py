"""The client of programs: every noun by name, models as people write them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelyard.client.auth import Context
from modelyard.client.client import Client
from modelyard.client.inputs import make_text_input
from modelyard.errors import InvalidRequest
from modelyard.wire.messages import (
    MultiLogEntryResponse,
    MultiModelVersionResponse,
    MultiOutputResponse,
    Output,
    PostModelVersionsUploadResponse,
    SingleModelResponse,
    SingleModelVersionResponse,
    Status,
    StatusCode,
)
from modelyard.wire.status import success
from support.folders import write_folder


@pytest.fixture
def client(answers: Any) -> Iterator[Client]:
    with Client(Context(base=answers.url, token="secret", user_id="ann")) as opened:
        yield opened


def shout(request: Any) -> MultiOutputResponse:
    texts = [one.data.text.raw.upper() for one in request.inputs]
    return MultiOutputResponse(status=success(), outputs=[Output(data={"text": {"raw": text}}) for text in texts])


def read_texts(answer: MultiOutputResponse) -> list[str]:
    return [one.data.text.raw for one in answer.outputs]


def test_a_model_is_found_by_its_name(answers: Any, client: Client) -> None:
    answers.by_name["GetModel"] = lambda request: SingleModelResponse(status=success(), model={"id": request.model_id})
    assert client.models.get("shop/digits").id == "digits"
    assert answers.asked_of("GetModel")[0].user_app_id.app_id == "shop"


def test_texts_and_inputs_are_sent_alike(answers: Any, client: Client) -> None:
    answers.by_name["PostModelOutputs"] = shout
    answer = client.predict("loud", inputs=["a", make_text_input("b")], params={"top_k": 3})
    assert read_texts(answer) == ["A", "B"]
    assert answers.asked_of("PostModelOutputs")[0].model.model_version.output_info.params["top_k"] == 3


def test_generate_and_stream_bring_answers_as_they_come(answers: Any, client: Client) -> None:
    answers.by_name["GenerateModelOutputs"] = lambda request: iter([shout(request), shout(request)])
    answers.by_name["StreamModelOutputs"] = lambda requests: (shout(one) for one in requests)
    assert [read_texts(one) for one in client.generate("loud", ["a"])] == [["A"], ["A"]]
    assert [read_texts(one) for one in client.stream("loud", iter([["a"], ["b"]]))] == [["A"], ["B"]]


def test_a_number_is_the_version_counted_from_the_oldest(answers: Any, client: Client) -> None:
    listed = MultiModelVersionResponse(status=success(), model_versions=[{"id": "new"}, {"id": "old"}])
    answers.by_name |= {"ListModelVersions": lambda _: listed, "PostModelOutputs": shout}
    client.predict("loud@1", inputs=["a"])
    assert answers.asked_of("PostModelOutputs")[0].version_id == "old"


def test_a_folder_is_uploaded_under_the_name_that_is_given(answers: Any, client: Client, tmp_path: Path) -> None:
    def take(requests: Iterator[Any]) -> Iterator[PostModelVersionsUploadResponse]:
        list(requests)
        yield PostModelVersionsUploadResponse(status=Status(code=StatusCode.MODEL_BUILDING), model_version_id="v1")

    trained = {"id": "v1", "status": {"code": StatusCode.MODEL_TRAINED}}
    answers.by_name |= {
        "GetModel": lambda _: SingleModelResponse(status=success()),
        "PostModelVersionsUpload": take,
        "GetModelVersion": lambda _: SingleModelVersionResponse(status=success(), model_version=trained),
        "ListLogEntries": lambda _: MultiLogEntryResponse(status=success()),
    }
    name, version = client.upload(write_folder(tmp_path), model="shop/mine")
    assert str(name) == "local/shop/mine@v1"
    assert version is not None


def test_what_names_no_model_is_refused_before_anything_is_sent(answers: Any, client: Client) -> None:
    with pytest.raises(InvalidRequest):
        client.predict("a//b", inputs=["x"])
    assert answers.asked == []
