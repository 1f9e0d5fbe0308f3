"""Users, tokens, apps and models, on every store."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from modelyard.errors import AppNotFound, UserNotFound
from modelyard.server.records import LogType, Page
from modelyard.server.store.base import Store
from support.stores import (
    START,
    add_model,
    add_version,
    app_key,
    make_app,
    make_deployment,
    make_key,
    make_line,
    make_model,
    make_token,
    make_user,
    open_store,
)


async def test_a_user_comes_back_as_it_went_in(store: Store) -> None:
    assert await store.users.get("ada") is None
    assert await store.users.add(make_user())
    assert await store.users.get("ada") == make_user()


async def test_a_taken_user_id_is_not_added_again(store: Store) -> None:
    assert await store.users.add(make_user())
    assert not await store.users.add(make_user())


async def test_a_token_comes_back_as_it_went_in(store: Store) -> None:
    await store.users.add(make_user())
    bound = replace(make_token("t2"), app_ids=frozenset({"a", "b"}), expires_at=None)
    await store.tokens.add(make_token("t1"))
    await store.tokens.add(bound)
    assert await store.tokens.get("t1") == make_token("t1")
    assert await store.tokens.get("t2") == bound
    assert await store.tokens.get("t3") is None


async def test_a_token_needs_its_user(store: Store) -> None:
    with pytest.raises(UserNotFound):
        await store.tokens.add(make_token(user_id="nobody"))


async def test_a_revoked_token_is_kept_but_not_listed(store: Store) -> None:
    await store.users.add(make_user())
    for token_id in ("t1", "t2"):
        await store.tokens.add(make_token(token_id))
    assert await store.tokens.revoke("ada", "t1", START)
    assert not await store.tokens.revoke("ada", "t1", START)
    assert not await store.tokens.revoke("eve", "t2", START)
    assert [one.token_id for one in await store.tokens.list("ada", Page())] == ["t2"]
    revoked = await store.tokens.get("t1")
    assert revoked is not None
    assert revoked.revoked_at == START


async def test_a_token_update_changes_what_it_may_but_not_its_life(store: Store) -> None:
    await store.users.add(make_user())
    await store.tokens.add(make_token())
    changed = replace(make_token(), description="desk", scopes=frozenset({"All"}), app_ids=frozenset({"a"}))
    assert await store.tokens.update(replace(changed, expires_at=START + timedelta(days=900)))
    assert await store.tokens.get("t1") == changed
    assert not await store.tokens.update(replace(changed, token_id="t9"))
    await store.tokens.revoke("ada", "t1", START)
    assert not await store.tokens.update(changed)


async def test_an_app_comes_back_as_it_went_in(store: Store) -> None:
    await store.users.add(make_user())
    assert await store.apps.add(make_app())
    assert not await store.apps.add(make_app())
    assert await store.apps.get(app_key()) == make_app()
    assert await store.apps.get(app_key(user_id="eve")) is None


async def test_an_app_needs_its_user(store: Store) -> None:
    with pytest.raises(UserNotFound):
        await store.apps.add(make_app(user_id="nobody"))


async def test_listings_keep_creation_order_and_end_with_an_empty_page(store: Store) -> None:
    await store.users.add(make_user())
    for app_id in ("z", "a", "m"):
        await store.apps.add(make_app(app_id))
    pages = [[app.app_id for app in await store.apps.list("ada", Page(number=n, size=2))] for n in (1, 2, 3)]
    assert pages == [["z", "a"], ["m"], []]
    assert await store.apps.list("eve", Page()) == []


async def test_an_app_update_needs_the_row(store: Store) -> None:
    await store.users.add(make_user())
    changed = replace(make_app(), description="new", metadata={})
    assert not await store.apps.update(changed)
    await store.apps.add(make_app())
    assert await store.apps.update(changed)
    assert await store.apps.get(app_key()) == changed


async def test_deleting_an_app_takes_all_that_hangs_on_it(store: Store) -> None:
    key = await add_model(store)
    version = await add_version(store, "v1")
    await store.deployments.put(make_deployment(version))
    await store.logs.append([make_line("v1", "hello")])
    assert await store.apps.delete(app_key())
    assert not await store.apps.delete(app_key())
    assert await store.models.get(key) is None
    assert await store.versions.get_by_id("v1") is None
    assert await store.deployments.list() == []
    assert await store.logs.list("v1", LogType.BUILD, Page()) == []


async def test_a_model_comes_back_as_it_went_in(store: Store) -> None:
    key = await add_model(store)
    assert await store.models.get(key) == make_model()
    assert not await store.models.add(make_model())
    assert await store.models.get(make_key(user_id="eve")) is None


async def test_a_model_needs_its_app(store: Store) -> None:
    with pytest.raises(AppNotFound):
        await store.models.add(make_model(app_id="nowhere"))


async def test_models_are_listed_by_app_by_user_and_by_type(store: Store) -> None:
    for app_id, model_id in (("one", "a"), ("two", "b"), ("one", "c"), ("two", "a")):
        await add_model(store, make_key(model_id, app_id))
    await store.models.update(replace(make_model("c", "one"), model_type_id="text-classifier"))
    models = store.models
    assert [one.key.model_id for one in await models.list(app_key("one"), Page())] == ["a", "c"]
    assert [one.key.model_id for one in await models.list_by_user("ada", Page())] == ["a", "b", "c", "a"]
    assert [one.key.model_id for one in await models.list_by_user("ada", Page(number=2, size=3))] == ["a"]
    typed = await models.list(app_key("one"), Page(), model_type_id="text-classifier")
    assert [one.key.model_id for one in typed] == ["c"]
    typed = await models.list_by_user("ada", Page(), model_type_id="text-to-text")
    assert [one.key.model_id for one in typed] == ["a", "b", "a"]


async def test_a_model_is_found_by_its_id_in_any_app(store: Store) -> None:
    for app_id in ("one", "two"):
        await add_model(store, make_key("a", app_id))
    assert [one.key.app_id for one in await store.models.find("ada", "a")] == ["one", "two"]
    assert await store.models.find("eve", "a") == []


async def test_deleting_a_model_leaves_its_neighbours(store: Store) -> None:
    key = await add_model(store)
    other = await add_model(store, make_key("other"))
    await add_version(store, "v1")
    await add_version(store, "v2", other)
    assert await store.models.delete(key)
    assert not await store.models.delete(key)
    assert await store.versions.get_by_id("v1") is None
    assert await store.versions.get_by_id("v2") is not None


async def test_a_moment_without_a_zone_is_refused(store: Store) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001
    with pytest.raises(Exception, match="no time zone"):
        await store.users.add(replace(make_user(), created_at=naive))


async def test_of_many_who_add_the_same_app_one_wins(store: Store) -> None:
    await store.users.add(make_user())
    assert sorted(await asyncio.gather(*(store.apps.add(make_app()) for _ in range(8)))) == [False] * 7 + [True]


async def test_a_mark_changes_with_what_is_written_and_with_nothing_else(store: Store) -> None:
    first = await store.mark()
    await store.users.get("ada")
    assert await store.mark() == first
    await store.users.add(make_user())
    second = await store.mark()
    assert second is None or second != first
    assert await store.mark() == second


async def test_a_mark_changes_with_what_another_process_writes(tmp_path: Path) -> None:
    async with open_store(tmp_path) as store, open_store(tmp_path) as other:
        first = await store.mark()
        assert first is not None
        await other.users.add(make_user())
        assert await store.mark() != first
