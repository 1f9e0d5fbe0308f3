"""Models, versions, logs, model types and status codes, as clients see them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from modelyard.config.model_types import MODEL_TYPES
from modelyard.server.api.v2.tokens import TokensV2
from modelyard.server.records import LogType, VersionState
from modelyard.wire.messages import App, Key, Model, ModelVersion, StatusCode
from support.house import House
from support.stores import add_version, make_deployment, make_key

Ask = Any
OK = StatusCode.SUCCESS


async def post_model(ask: Ask, model_id: str = "m", **where: str) -> Any:
    return await ask("PostModels", models=[Model(id=model_id, model_type_id="text-to-text")], **where)


def only_status(answer: Any) -> bool:
    return [field.name for field, _ in answer.ListFields()] == ["status"]


async def test_a_model_is_made_with_its_app_and_got_back(ask: Ask) -> None:
    given = Model(id="m", user_id="ada", app_id="main", model_type_id="text-to-text", description="d")
    made = await ask("PostModels", models=[given])
    assert made.status.code == OK
    assert (made.model.id, made.model.user_id, made.model.app_id) == ("m", "ada", "main")
    got = await ask("GetModel", model_id="m")
    assert got.model == made.model
    assert not got.model.HasField("model_version")
    assert (await ask("GetModel", app="", model_id="m")).model == made.model
    assert (await ask("GetApp")).app.id == "main"


async def test_a_missing_model_answers_21200_with_the_words_of_the_contract(ask: Ask) -> None:
    answer = await ask("GetModel", model_id="nothing")
    assert answer.status.code == StatusCode.MODEL_DOES_NOT_EXIST
    assert "Model does not exist" in answer.status.description


async def test_a_taken_model_answers_its_name(ask: Ask) -> None:
    await post_model(ask)
    answer = await post_model(ask)
    assert answer.status.code == StatusCode.CONN_INVALID_REQUEST
    assert "'m'" in answer.status.description


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("PostModels", {}),
        ("PostModels", {"models": [Model(id="x", app_id="other")]}),
        ("PostModels", {"models": [Model(id="x", user_id="eve")]}),
        ("PostModels", {"models": [Model()]}),
        ("PatchModels", {"models": [Model(id="m")], "action": "explode"}),
        ("DeleteModels", {}),
        ("GetModel", {}),
        ("DeleteModelVersion", {"model_id": "m"}),
        ("PatchModelVersions", {"model_id": "m"}),
        ("PatchModelVersions", {"model_id": "m", "model_versions": [ModelVersion(description="x")]}),
        ("ListLogEntries", {"model_id": "m", "log_type": "diary"}),
    ],
)
async def test_a_request_that_makes_no_sense_is_refused(ask: Ask, method: str, fields: dict[str, Any]) -> None:
    await post_model(ask)
    answer = await ask(method, **fields)
    assert answer.status.code == StatusCode.CONN_BAD_REQUEST_FORMAT
    assert answer.status.description


async def test_models_are_listed_with_the_version_that_answers(ask: Ask, house: House) -> None:
    for model_id in ("a", "b"):
        await post_model(ask, model_id)
    await post_model(ask, "c", app="other")
    serving = await add_version(house.store, "v1", make_key("a"))
    await add_version(house.store, "v2", make_key("a"), VersionState.BUILDING)
    await house.store.deployments.put(make_deployment(serving))
    for listing, expected in (
        (await ask("ListModels"), [("a", "v1"), ("b", "")]),
        (await ask("ListModels", app=""), [("a", "v1"), ("b", ""), ("c", "")]),
        (await ask("ListModels", app="", page=2, per_page=2), [("c", "")]),
    ):
        assert [(one.id, one.model_version.id) for one in listing.models] == expected
    assert only_status(await ask("ListModels", page=2))
    assert only_status(await ask("ListModels", model_type_id="text-classifier"))
    assert (await ask("ListModels", app="nowhere")).status.code == 11101


async def test_a_model_is_patched_and_deleted(ask: Ask) -> None:
    await post_model(ask)
    patch = Model(id="m", description="new")
    patch.metadata.update({"a": 1})
    patched = (await ask("PatchModels", models=[patch], action="merge")).models[0]
    assert (patched.description, patched.metadata["a"], patched.model_type_id) == ("new", 1, "text-to-text")
    assert (await ask("DeleteModels", ids=["m", "x"])).status.code == StatusCode.MODEL_DOES_NOT_EXIST
    assert (await ask("DeleteModels", ids=["m"])).status.code == OK
    assert (await ask("DeleteModel", model_id="m")).status.code == StatusCode.MODEL_DOES_NOT_EXIST
    await post_model(ask)
    assert (await ask("DeleteModel", model_id="m")).status.code == OK
    await post_model(ask)
    assert (await ask("DeleteModels", delete_all=True)).status.code == OK
    assert only_status(await ask("ListModels"))


async def test_a_version_without_upload_comes_back_in_its_model(ask: Ask) -> None:
    await post_model(ask)
    made = await ask("PostModelVersions", model_id="m", model_versions=[ModelVersion()], description="d")
    assert made.status.code == OK
    version = made.model.model_version
    assert (made.model.id, version.description, version.user_id, version.app_id) == ("m", "d", "ada", "main")
    assert version.status.code == StatusCode.MODEL_UNTRAINED
    assert (await ask("GetModel", model_id="m")).model == made.model
    assert (await ask("GetModel", model_id="m", version_id=version.id)).model == made.model
    missing = await ask("GetModel", model_id="m", version_id="x")
    assert missing.status.code == StatusCode.MODEL_DOES_NOT_EXIST
    assert "Model does not exist" not in missing.status.description


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (VersionState.EMPTY, 21102),
        (VersionState.UPLOADING, 21104),
        (VersionState.UPLOAD_FAILED, 21105),
        (VersionState.UPLOADED, 21107),
        (VersionState.BUILDING, 21107),
        (VersionState.BUILT, 21107),
        (VersionState.READY, 21100),
        (VersionState.BUILD_FAILED, 21108),
    ],
)
async def test_each_state_has_its_code(ask: Ask, house: House, state: VersionState, code: int) -> None:
    await post_model(ask)
    version = await add_version(house.store, "v1", state=state)
    status = (await ask("GetModelVersion", model_id="m")).model_version.status
    assert status.code == code
    assert status.description
    await house.store.versions.update(replace(version, state_message="why", state_details="Traceback ..."))
    status = (await ask("GetModelVersion", model_id="m", version_id="v1")).model_version.status
    assert (status.description, status.details) == ("why", "Traceback ...")


async def test_what_the_client_said_of_a_version_comes_back_exactly(ask: Ask, house: House) -> None:
    await post_model(ask)
    spec = ModelVersion(num_threads=16)
    spec.inference_compute_info.cpu_limit = "500m"
    signature = spec.method_signatures.add(name="predict", description="Echo.")
    signature.input_fields.add(name="prompt", required=True)
    await add_version(house.store, "v1")
    await house.store.versions.set_spec(make_key(), "v1", spec.SerializeToString(), house.clock())
    version = (await ask("GetModelVersion", model_id="m", version_id="")).model_version
    assert list(version.method_signatures) == [signature]
    assert (version.num_threads, version.inference_compute_info.cpu_limit) == (16, "500m")
    assert version.id == "v1"


async def test_versions_are_listed_patched_and_deleted(ask: Ask) -> None:
    await post_model(ask)
    ids = [(await ask("PostModelVersions", model_id="m")).model.model_version.id for _ in range(3)]
    listed = await ask("ListModelVersions", model_id="m", page=1, per_page=2)
    assert [one.id for one in listed.model_versions] == ids[:0:-1]
    assert only_status(await ask("ListModelVersions", model_id="m", page=3, per_page=2))
    patch = ModelVersion(id=ids[0], description="first")
    patched = await ask("PatchModelVersions", model_id="m", model_versions=[patch], action="merge")
    assert (patched.model_versions[0].id, patched.model_versions[0].description) == (ids[0], "first")
    assert (await ask("DeleteModelVersion", model_id="m", version_id=ids[0])).status.code == OK
    gone = await ask("GetModelVersion", model_id="m", version_id=ids[0])
    assert gone.status.code == StatusCode.MODEL_DOES_NOT_EXIST
    for method in ("ListModelVersions", "PostModelVersions", "GetModelVersion"):
        assert (await ask(method, model_id="none")).status.code == StatusCode.MODEL_DOES_NOT_EXIST


async def test_log_pages_are_stable_and_every_line_has_its_own_url(ask: Ask, house: House) -> None:
    await post_model(ask)
    await add_version(house.store, "v1")
    for i in range(60):
        house.logs.append("v1", LogType.BUILD, f"line {i}")
    house.logs.append("v1", LogType.RUN, "running")

    async def read(page: int, log_type: str = "builder") -> Any:
        return await ask(
            "ListLogEntries", model_id="m", model_version_id="v1", log_type=log_type, page=page, per_page=50
        )

    first = await read(1)
    house.logs.append("v1", LogType.BUILD, "one more")
    assert await read(1) == first
    entries = [*first.log_entries, *(await read(2)).log_entries]
    assert [one.message for one in entries] == [f"line {i}" for i in range(60)] + ["one more"]
    assert len({one.url for one in entries}) == 61
    assert entries[0].url == "modelyard://logs/v1/builder/1"
    assert only_status(await read(3))
    assert [one.message for one in (await read(1, "runner")).log_entries] == ["running"]
    missing = await ask("ListLogEntries", model_id="m", model_version_id="v9", log_type="builder")
    assert missing.status.code == StatusCode.MODEL_DOES_NOT_EXIST


async def test_a_token_of_one_app_sees_no_other(ask: Ask) -> None:
    for app_id in ("main", "other"):
        await post_model(ask, "m", app=app_id)
    bound = (await ask("PostKeys", keys=[Key(apps=[App(id="main")])])).keys[0].id
    assert (await ask("GetModel", model_id="m", token=bound)).status.code == OK
    for app_id in ("other", ""):
        assert (await ask("GetModel", model_id="m", app=app_id, token=bound)).status.code != OK
        assert (await ask("ListModels", app=app_id, token=bound)).status.code != OK


async def test_model_types_say_what_goes_in(ask: Ask) -> None:
    listed = (await ask("ListModelTypes")).model_types
    assert [one.id for one in listed] == list(MODEL_TYPES)
    assert all(one.input_fields and one.output_fields for one in listed)
    assert (await ask("GetModelType", model_type_id="text-to-text")).model_type.input_fields == ["text"]
    assert len((await ask("ListModelTypes", page=2, per_page=5)).model_types) == 5
    assert only_status(await ask("ListModelTypes", page=99))
    missing = await ask("GetModelType", model_type_id="telepathy")
    assert missing.status.code == 11101
    assert "text-to-text" in missing.status.description


async def test_status_codes_need_no_token(ask: Ask) -> None:
    listed = await ask("ListStatusCodes", token="")
    assert (listed.status.code, len(listed.statuses) > 300) == (OK, True)
    for name in ("21107", "model_building"):
        found = (await ask("GetStatusCode", token="", status_code_id=name)).status
        assert (found.code, found.description) == (21107, "Model building")
    assert (await ask("GetStatusCode", token="", status_code_id="1")).status.code == 11101


async def test_the_list_of_scopes_is_for_browser_sessions_which_we_do_not_have_yet(ask: Ask, house: House) -> None:
    assert (await ask("ListScopes")).status.code == StatusCode.CONN_INSUFFICIENT_SCOPES
    handler: Any = TokensV2(house.tokens).handlers()["ListScopes"]
    deps = {one.scope: list(one.depending_scopes) for one in (await handler(None, None)).scope_deps}
    assert "Models:Get" in deps["Models:Add"]
    assert "All" in deps
