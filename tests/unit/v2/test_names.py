"""Users, apps and tokens, as clients see them."""

from __future__ import annotations

from typing import Any

import pytest

from modelyard.wire.messages import App, Key, StatusCode
from support.house import House

Ask = Any
OK = StatusCode.SUCCESS


async def test_me_is_answered_with_the_real_id(ask: Ask) -> None:
    for user in ("me", "ada", ""):
        answer = await ask("GetUser", user=user, app="")
        assert (answer.status.code, answer.user.id) == (OK, "ada")
    assert (await ask("GetUser", user="eve")).status.code == StatusCode.CONN_DOES_NOT_EXIST


async def test_an_app_lives_through_its_methods(ask: Ask) -> None:
    made = await ask("PostApps", app="", apps=[App(id="one", description="d"), App(id="two", user_id="ada")])
    assert [(one.id, one.user_id, one.name) for one in made.apps] == [("one", "ada", "one"), ("two", "ada", "two")]
    assert made.apps[0].created_at.seconds > 0
    got = await ask("GetApp", app="one")
    assert (got.status.code, got.app) == (OK, made.apps[0])
    patch = App(id="one", notes="n")
    patch.metadata.update({"k": [1, 2.5, {"x": None}]})
    many = await ask("PatchApps", app="", apps=[patch], action="merge")
    assert (many.apps[0].description, many.apps[0].notes, many.apps[0].metadata) == ("d", "n", patch.metadata)
    single = await ask("PatchApp", app="one", app_fields=App(description="new"), action="overwrite")
    assert (single.app.description, single.app.notes) == ("new", "n")
    assert (await ask("DeleteApp", app="one")).status.code == OK
    assert (await ask("GetApp", app="one")).status.code == StatusCode.CONN_DOES_NOT_EXIST
    assert [one.id for one in (await ask("ListApps", app="")).apps] == ["two"]


async def test_a_missing_app_answers_11101_and_a_taken_one_its_name(ask: Ask) -> None:
    missing = await ask("GetApp", app="nowhere")
    assert missing.status.code == 11101
    assert "'nowhere'" in missing.status.description
    assert missing.status.req_id == "r1"
    await ask("PostApps", app="", apps=[App(id="one")])
    taken = await ask("PostApps", app="", apps=[App(id="one")])
    assert taken.status.code == StatusCode.CONN_INVALID_REQUEST
    assert "'one'" in taken.status.description


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("PostApps", {}),
        ("PostApps", {"apps": [App(id="a/b")]}),
        ("PostApps", {"apps": [App(id="x", user_id="eve")]}),
        ("PatchApps", {"apps": [App(id="main")], "action": "explode"}),
        ("PostKeys", {}),
        ("PostKeys", {"keys": [Key(scopes=["Fly"])]}),
        ("PostKeys", {"keys": [Key(endpoints=["/x"])]}),
    ],
)
async def test_a_request_that_makes_no_sense_is_refused(ask: Ask, method: str, fields: dict[str, Any]) -> None:
    assert (await ask(method, app="", **fields)).status.code == StatusCode.CONN_BAD_REQUEST_FORMAT


async def test_a_list_ends_with_a_page_that_has_only_a_status(ask: Ask) -> None:
    await ask("PostApps", app="", apps=[App(id=f"a{i}") for i in range(3)])
    pages = [[one.id for one in (await ask("ListApps", app="", page=n, per_page=2)).apps] for n in (0, 1, 2)]
    assert pages == [["a0", "a1"], ["a0", "a1"], ["a2"]]
    last = await ask("ListApps", app="", page=3, per_page=2)
    assert [field.name for field, _ in last.ListFields()] == ["status"]
    beyond = await ask("ListApps", app="", page=2**32 - 1, per_page=2**32 - 1)
    assert beyond.status.code == OK
    assert not beyond.apps


async def test_a_tokens_text_is_in_one_answer_only(ask: Ask) -> None:
    made = (await ask("PostKeys", keys=[Key(description="ci", scopes=["Models:Get"], apps=[App(id="main")])])).keys[0]
    assert made.id.startswith("myd_")
    listed = (await ask("ListKeys")).keys
    public = made.id.split("_")[1]
    assert [one.id for one in listed][1:] == [public]
    assert made.id not in str(listed)
    got = (await ask("GetKey", key_id=public)).key
    assert (got.description, list(got.scopes), [app.id for app in got.apps]) == ("ci", ["Models:Get"], ["main"])
    assert got.expires_at.seconds - got.created_at.seconds == 90 * 86400


async def test_a_token_works_until_it_is_deleted(ask: Ask) -> None:
    text = (await ask("PostKeys", keys=[Key(scopes=["Predict", "Models:Get"])])).keys[0].id
    scopes = await ask("MyScopes", token=text)
    assert list(scopes.scopes) == ["Models:Get", "Predict"]
    assert (await ask("ListApps", token=text)).status.code == StatusCode.CONN_INSUFFICIENT_SCOPES
    assert (await ask("DeleteKey", key_id=text)).status.code == OK
    assert (await ask("MyScopes", token=text)).status.code == StatusCode.CONN_KEY_INVALID
    assert (await ask("DeleteKey", key_id=text)).status.code == StatusCode.CONN_KEY_NOT_FOUND


async def test_a_token_is_patched(ask: Ask) -> None:
    text = (await ask("PostKeys", keys=[Key(scopes=["Predict", "Models:Get"])])).keys[0].id
    patched = await ask("PatchKeys", keys=[Key(id=text, description="new", scopes=["Predict"])], action="overwrite")
    assert (patched.keys[0].description, list(patched.keys[0].scopes)) == ("new", ["Predict"])
    assert list((await ask("MyScopes", token=text)).scopes) == ["Predict"]


async def test_a_token_cannot_give_more_than_it_has(ask: Ask) -> None:
    text = (await ask("PostKeys", keys=[Key(scopes=["Keys:Add", "Apps:Get"])])).keys[0].id
    answer = await ask("PostKeys", token=text, keys=[Key(scopes=["All"])])
    assert answer.status.code == StatusCode.CONN_INSUFFICIENT_SCOPES
    assert not answer.keys


async def test_the_users_own_row_is_the_one_that_was_made(ask: Ask, house: House) -> None:
    user = await house.users.get("ada")
    assert (await ask("GetUser")).user.created_at.ToDatetime() == user.created_at.replace(tzinfo=None)
