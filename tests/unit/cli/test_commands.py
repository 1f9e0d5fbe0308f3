"""Commands that list, tell and delete: what they ask of the server, and what they print."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modelyard.errors import ModelNotFound
from modelyard.wire.messages import (
    BaseResponse,
    MultiKeyResponse,
    MultiLogEntryResponse,
    MultiModelResponse,
    MultiModelVersionResponse,
    SingleModelResponse,
    SingleModelVersionResponse,
    StatusCode,
)
from modelyard.wire.status import status_of, success

TRAINED = {"code": StatusCode.MODEL_TRAINED}
VERSIONS = [
    {"id": "new", "status": {"code": StatusCode.MODEL_BUILDING_FAILED, "description": "no package foo\nat all"}},
    {"id": "old", "status": TRAINED},
]


@pytest.fixture
def digits(answers: Any) -> Any:
    """A server with one model of two versions."""
    model = {"id": "digits", "app_id": "main", "model_type_id": "visual-classifier"}
    model["model_version"] = {"id": "old", "status": TRAINED}
    by_id = {one["id"]: one for one in VERSIONS}
    answers.by_name |= {
        "ListModels": lambda _: MultiModelResponse(status=success(), models=[model]),
        "GetModel": lambda _: SingleModelResponse(status=success(), model=model),
        "ListModelVersions": lambda _: MultiModelVersionResponse(status=success(), model_versions=VERSIONS),
        "GetModelVersion": lambda request: SingleModelVersionResponse(
            status=success(), model_version=by_id[request.version_id or "old"]
        ),
        "DeleteModels": lambda _: BaseResponse(status=success()),
        "DeleteModelVersion": lambda _: BaseResponse(status=success()),
        "ListLogEntries": lambda _: MultiLogEntryResponse(
            status=success(), log_entries=[{"message": "one"}, {"message": "two"}]
        ),
    }
    return answers


def test_models_are_listed_with_the_version_that_answers(digits: Any, run: Any) -> None:
    lines = run("models").stdout.splitlines()
    assert lines[0].split() == ["MODEL", "TYPE", "VERSION", "STATE"]
    assert lines[1].split() == ["main/digits", "visual-classifier", "old", "MODEL_TRAINED"]


def test_models_of_one_app_are_asked_for(digits: Any, run: Any) -> None:
    assert json.loads(run("models", "--app", "shop", "--json").stdout)[0]["id"] == "digits"
    scope = digits.asked_of("ListModels")[0].user_app_id
    assert (scope.user_id, scope.app_id) == ("ann", "shop")


def test_where_there_are_no_models_the_next_step_is_upload(answers: Any, run: Any) -> None:
    answers.by_name["ListModels"] = lambda _: MultiModelResponse(status=success())
    done = run("models")
    assert (done.stdout, "modelyard upload" in done.stderr) == ("", True)


def test_versions_are_numbered_from_the_oldest_and_tell_why_they_failed(digits: Any, run: Any) -> None:
    _, newest, oldest = run("versions", "digits").stdout.splitlines()
    assert newest.startswith("2       new")
    assert newest.endswith("MODEL_BUILDING_FAILED: no package foo")
    assert oldest.startswith("1       old")


def test_a_state_that_we_do_not_know_is_shown_by_its_number(answers: Any, run: Any) -> None:
    model = {"id": "m", "app_id": "a", "model_version": {"id": "v", "status": {"code": 424242}}}
    answers.by_name["ListModels"] = lambda _: MultiModelResponse(status=success(), models=[model])
    assert run("models").stdout.split()[-1] == "424242"


def test_logs_are_those_of_the_version_that_is_named(digits: Any, run: Any) -> None:
    assert run("logs", "digits@2", "--type", "build").stdout == "one\ntwo\n"
    request = digits.asked_of("ListLogEntries")[0]
    assert (request.model_version_id, request.log_type) == ("new", "builder")


def test_logs_as_json_are_one_line_an_entry(digits: Any, run: Any) -> None:
    assert [json.loads(line) for line in run("logs", "digits", "--json").stdout.splitlines()] == [
        {"message": "one"},
        {"message": "two"},
    ]


def test_delete_asks_first(digits: Any, run: Any) -> None:
    assert run("delete", "digits", stdin="n\n").exit_code != 0
    assert digits.asked_of("DeleteModels") == []
    assert run("delete", "digits", stdin="y\n").exit_code == 0
    assert list(digits.asked_of("DeleteModels")[0].ids) == ["digits"]


def test_delete_of_a_version_leaves_the_model(digits: Any, run: Any) -> None:
    assert json.loads(run("delete", "digits@old", "--yes", "--json").stdout) == {"deleted": "digits@old"}
    assert digits.asked_of("DeleteModelVersion")[0].version_id == "old"
    assert digits.asked_of("DeleteModels") == []


def test_delete_takes_a_number_too(digits: Any, run: Any) -> None:
    assert run("delete", "digits@2", "--yes").exit_code == 0
    assert digits.asked_of("DeleteModelVersion")[0].version_id == "new"


def test_delete_of_what_is_not_there_does_not_ask(answers: Any, run: Any) -> None:
    answers.by_name["GetModel"] = lambda _: SingleModelResponse(status=status_of(ModelNotFound("no such model")))
    done = run("delete", "gone")
    assert isinstance(done.exception, ModelNotFound)
    assert "Delete" not in done.output


def test_a_token_is_printed_alone_so_that_a_script_can_keep_it(answers: Any, run: Any) -> None:
    answers.by_name["PostKeys"] = lambda _: MultiKeyResponse(status=success(), keys=[{"id": "my-token"}])
    assert run("tokens", "create", "ci", "--scope", "Predict", "--app", "shop").stdout == "my-token\n"
    key = answers.asked_of("PostKeys")[0].keys[0]
    assert (key.description, list(key.scopes), key.apps[0].id) == ("ci", ["Predict"], "shop")


def test_tokens_are_listed_and_revoked(answers: Any, run: Any) -> None:
    key = {"id": "k1", "description": "ci", "scopes": ["Predict", "Models:Get"]}
    answers.by_name["ListKeys"] = lambda _: MultiKeyResponse(status=success(), keys=[key])
    answers.by_name["DeleteKey"] = lambda _: BaseResponse(status=success())
    assert run("tokens", "list").stdout.splitlines()[1].split() == ["k1", "ci", "Predict,", "Models:Get", "never"]
    assert run("tokens", "revoke", "k1").stdout == "revoked\n"
    assert answers.asked_of("DeleteKey")[0].key_id == "k1"
