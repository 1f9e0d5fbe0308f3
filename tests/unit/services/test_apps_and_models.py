"""Users, apps and models: made on first use, found without their app, deleted with all that is theirs."""

from __future__ import annotations

import asyncio

import pytest

from modelyard.errors import AppNotFound, Conflict, InvalidRequest, ModelNotFound, UserNotFound
from modelyard.server.records import Page
from modelyard.server.services.apps import AppFields, Apps
from modelyard.server.services.models import ModelFields, Models
from modelyard.server.services.patches import PatchAction
from support.house import House
from support.stores import add_version, app_key, make_key


async def test_a_user_is_made_once_and_keeps_its_birthday(house: House) -> None:
    first = await house.users.ensure("bob")
    house.clock.advance(10)
    assert await house.users.ensure("bob") == first
    with pytest.raises(UserNotFound, match="'eve'"):
        await house.users.get("eve")
    with pytest.raises(InvalidRequest, match="user id"):
        await house.users.ensure("not an id")


async def test_an_app_is_made_on_first_use_by_a_single_user(house: House) -> None:
    made = await asyncio.gather(*(house.apps.ensure(app_key()) for _ in range(5)))
    assert {one.app_id for one in made} == {"main"}
    assert len(await house.apps.list("ada", Page())) == 1


async def test_among_many_users_an_app_must_be_there(house: House) -> None:
    apps = Apps(house.store, is_single_user=False, now=house.clock)
    models = Models(house.store, apps, now=house.clock)
    with pytest.raises(AppNotFound, match="'main'"):
        await models.create(make_key(), ModelFields())


async def test_a_taken_id_is_named(house: House) -> None:
    await house.apps.create(app_key(), AppFields())
    with pytest.raises(Conflict, match="'main'"):
        await house.apps.create(app_key(), AppFields())
    await house.models.create(make_key(), ModelFields())
    with pytest.raises(Conflict, match="'m'"):
        await house.models.create(make_key(), ModelFields())


@pytest.mark.parametrize("bad", ["", "a b", "../x", "-x", "ä", "x" * 49])
async def test_an_id_out_of_the_grammar_is_refused(house: House, bad: str) -> None:
    with pytest.raises(InvalidRequest, match="id"):
        await house.models.create(make_key(bad), ModelFields())
    with pytest.raises(InvalidRequest, match="id"):
        await house.apps.ensure(app_key(bad))
    assert await house.apps.list("ada", Page()) == []


async def test_patch_actions_change_what_is_given(house: House) -> None:
    await house.apps.create(app_key(), AppFields(description="old", metadata={"a": {"x": 1, "y": 2}, "b": 1}))
    patch = house.apps.patch
    merged = await patch(app_key(), AppFields(notes="n", metadata={"a": {"x": 3}}), PatchAction.MERGE)
    assert (merged.description, merged.notes) == ("old", "n")
    assert merged.metadata == {"a": {"x": 3, "y": 2}, "b": 1}
    removed = await patch(app_key(), AppFields(description="x", metadata={"a": {"y": 0}}), PatchAction.REMOVE)
    assert (removed.description, removed.metadata) == ("", {"a": {"x": 3}, "b": 1})
    house.clock.advance(5)
    replaced = await patch(app_key(), AppFields(metadata={"c": 1}), PatchAction.OVERWRITE)
    assert replaced.metadata == {"c": 1}
    assert replaced.modified_at > replaced.created_at
    assert await house.apps.get(app_key()) == replaced


async def test_patching_what_is_not_there_says_so(house: House) -> None:
    with pytest.raises(AppNotFound):
        await house.apps.patch(app_key(), AppFields(name="x"), PatchAction.MERGE)
    with pytest.raises(ModelNotFound):
        await house.models.patch(make_key(), ModelFields(name="x"), PatchAction.MERGE)


async def test_what_is_too_long_is_refused(house: House) -> None:
    with pytest.raises(InvalidRequest, match="description has 10001"):
        await house.apps.create(app_key(), AppFields(description="x" * 10_001))
    with pytest.raises(InvalidRequest, match="metadata"):
        await house.models.create(make_key(), ModelFields(metadata={"x": "y" * 70_000}))


async def test_a_missing_model_says_the_words_that_clients_look_for(house: House) -> None:
    for app_id in ("main", ""):
        with pytest.raises(ModelNotFound, match="Model does not exist"):
            await house.models.find("ada", app_id, "m")


async def test_a_model_is_found_without_its_app_where_it_is_the_only_one(house: House) -> None:
    await house.models.create(make_key("m", "one"), ModelFields())
    assert (await house.models.find("ada", "", "m")).key.app_id == "one"
    await house.models.create(make_key("m", "two"), ModelFields())
    with pytest.raises(InvalidRequest, match="one, two"):
        await house.models.find("ada", "", "m")
    assert (await house.models.find("ada", "two", "m")).key.app_id == "two"


async def test_models_of_an_app_that_is_not_there_are_not_an_empty_list(house: House) -> None:
    with pytest.raises(AppNotFound):
        await house.models.list("ada", "nowhere", Page())
    assert await house.models.list("ada", "", Page()) == []


async def test_deleting_several_models_deletes_none_where_one_is_missing(house: House) -> None:
    await house.models.create(make_key("a"), ModelFields())
    with pytest.raises(ModelNotFound, match="ada/main/b"):
        await house.models.delete([make_key("a"), make_key("b")])
    assert await house.models.get(make_key("a"))
    await house.models.delete([make_key("a")])
    with pytest.raises(ModelNotFound):
        await house.models.get(make_key("a"))


async def test_deleting_an_app_deletes_what_is_in_it(house: House) -> None:
    await house.models.create(make_key(), ModelFields())
    await add_version(house.store, "v1")
    await house.apps.delete(app_key())
    assert await house.store.versions.get_by_id("v1") is None
    with pytest.raises(AppNotFound):
        await house.apps.delete(app_key())


async def test_all_models_of_an_app_can_go_at_once(house: House) -> None:
    for app_id, model_id in (("main", "a"), ("main", "b"), ("other", "c")):
        await house.models.create(make_key(model_id, app_id), ModelFields())
    await house.models.delete_all(app_key())
    assert [one.key.model_id for one in await house.models.list("ada", "", Page())] == ["c"]


async def test_ensuring_a_model_makes_it_once_and_leaves_it_as_it_is(house: House) -> None:
    fields = ModelFields(model_type_id="text-to-text")
    made = await asyncio.gather(*(house.models.ensure(make_key(), fields) for _ in range(4)))
    assert {one.model_type_id for one in made} == {"text-to-text"}
    assert await house.models.ensure(make_key(), ModelFields(model_type_id="other")) == made[0]
