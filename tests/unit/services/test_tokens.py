"""Tokens: their text, what is kept of it, and how quickly a revocation is seen."""

from __future__ import annotations

import asyncio
import re
import zlib
from datetime import timedelta

import pytest

from modelyard.errors import Forbidden, InvalidRequest, TokenNotFound, Unauthenticated
from modelyard.server.records import Caller, Page, Token
from modelyard.server.services.patches import PatchAction
from modelyard.server.services.renewals import Freshness
from modelyard.server.services.token_cache import TokenCache
from modelyard.server.services.token_text import ALPHABET, make_token_text, read_token_id
from modelyard.server.services.tokens import Tokens
from support.house import House
from support.stores import START, make_token


async def test_a_token_opens_the_door_for_its_user(house: House) -> None:
    token, text = await house.tokens.create("ada", scopes=["Models:Get", "Predict"], app_ids=["main"])
    caller = await house.tokens.verify(text)
    assert caller == Caller(
        user_id="ada",
        token_id=token.token_id,
        scopes=frozenset({"Models_Get", "Predict"}),
        app_ids=frozenset({"main"}),
    )


async def test_the_text_has_an_id_a_secret_and_a_check_and_is_not_stored(house: House) -> None:
    token, text = await house.tokens.create("ada")
    assert re.fullmatch(r"myd_[0-9A-Za-z]{16}_[0-9A-Za-z]{49}", text)
    assert text.split("_")[1] == token.token_id
    check = 0
    for digit in text[-6:]:
        check = check * 62 + ALPHABET.index(digit)
    assert check == zlib.crc32(text[:-6].encode())
    assert text not in repr(await house.store.tokens.get(token.token_id))
    assert token.scopes == frozenset({"All"})


def test_the_secret_keeps_all_of_its_256_bits() -> None:
    texts = [make_token_text(lambda n, last=last: b"\xff" * (n - 1) + bytes([last]))[1] for last in (254, 255)]
    assert texts[0] != texts[1]
    assert all(read_token_id(one) for one in texts)


@pytest.mark.parametrize("spoil", ["", "x", "myd_1_2"])
def test_what_is_not_a_token_has_no_id(spoil: str) -> None:
    assert read_token_id(spoil) is None


def test_a_mistyped_token_has_no_id() -> None:
    _, text = make_token_text(bytes)
    assert read_token_id(text) == "0" * 16
    for at in (5, 25, 60, len(text) - 1):
        assert read_token_id(text[:at] + ("1" if text[at] != "1" else "2") + text[at + 1 :]) is None
    assert read_token_id(text + "\n") is None


async def test_wrong_tokens_are_refused_alike(house: House) -> None:
    token, text = await house.tokens.create("ada")
    other, forged = await Tokens(house.store, b"other pepper", now=house.clock).create("ada")
    unknown = make_token_text(bytes)[1]
    for wrong in ("", "nonsense", text[:-1], unknown, forged, token.token_id, token.digest, other.digest):
        with pytest.raises(Unauthenticated, match="not valid"):
            await house.tokens.verify(wrong)


async def test_a_token_ends_when_it_expires_even_from_the_cache(house: House) -> None:
    _, text = await house.tokens.create("ada", expires_at=START + timedelta(seconds=0.5))
    await house.tokens.verify(text)
    house.clock.advance(0.5)
    with pytest.raises(Unauthenticated, match="expired"):
        await house.tokens.verify(text)


async def test_a_token_lives_90_days_and_the_first_one_for_ever(house: House) -> None:
    made, _ = await house.tokens.create("ada")
    first, text = await house.tokens.create_bootstrap("ada")
    assert made.expires_at == START + timedelta(days=90)
    assert first.expires_at is None
    house.clock.advance(10 * 365 * 86400)
    assert (await house.tokens.verify(text)).scopes == frozenset({"All"})


@pytest.mark.parametrize("life", [timedelta(days=366), timedelta(seconds=-1), timedelta()])
async def test_a_life_out_of_range_is_refused(house: House, life: timedelta) -> None:
    with pytest.raises(InvalidRequest, match="365 days"):
        await house.tokens.create("ada", expires_at=START + life)


async def test_a_revocation_is_seen_at_once_here_and_within_a_second_elsewhere(house: House) -> None:
    elsewhere = Tokens(house.store, b"pepper", now=house.clock, freshness=Freshness(clock=house.clock.monotonic))
    token, text = await house.tokens.create("ada")
    await house.tokens.verify(text)
    await elsewhere.verify(text)
    await house.tokens.revoke("ada", token.token_id)
    with pytest.raises(Unauthenticated, match="revoked"):
        await house.tokens.verify(text)
    await elsewhere.verify(text)
    house.clock.advance(1.0)
    with pytest.raises(Unauthenticated, match="revoked"):
        await elsewhere.verify(text)


async def test_a_token_is_revoked_by_its_text_and_only_by_its_user(house: House) -> None:
    _, text = await house.tokens.create("ada")
    with pytest.raises(TokenNotFound):
        await house.tokens.revoke("eve", text)
    await house.tokens.revoke("ada", text)
    with pytest.raises(TokenNotFound):
        await house.tokens.revoke("ada", text)
    assert await house.tokens.list("ada", Page()) == []


async def test_unknown_scopes_are_all_named(house: House) -> None:
    with pytest.raises(InvalidRequest, match="Fly, Models_Eat"):
        await house.tokens.create("ada", scopes=["Models:Eat", "Predict", "Fly"])


async def test_nobody_gives_a_token_that_may_do_more_than_their_own(house: House) -> None:
    caller = Caller(user_id="ada", token_id="t", scopes=frozenset({"Keys_Add", "Models_Add"}))
    token, _ = await house.tokens.create("ada", scopes=["Models:Get"], granted_by=caller)
    for scopes in ([], ["All"], ["Models:Delete"]):
        with pytest.raises(Forbidden):
            await house.tokens.create("ada", scopes=scopes, granted_by=caller)
    with pytest.raises(Forbidden):
        await house.tokens.patch(
            "ada", token.token_id, description="", scopes=["All"], action=PatchAction.MERGE, granted_by=caller
        )


async def test_a_patch_changes_scopes_at_once(house: House) -> None:
    token, text = await house.tokens.create("ada", scopes=["Models:Get", "Predict"])
    await house.tokens.verify(text)

    async def patch(action: PatchAction, *scopes: str) -> frozenset[str]:
        await house.tokens.patch("ada", text, description="desk", scopes=scopes, action=action)
        return (await house.tokens.verify(text)).scopes

    assert await patch(PatchAction.REMOVE, "Predict") == frozenset({"Models_Get"})
    assert await patch(PatchAction.MERGE, "Apps:Get") == frozenset({"Models_Get", "Apps_Get"})
    assert await patch(PatchAction.OVERWRITE, "Predict") == frozenset({"Predict"})
    assert await patch(PatchAction.OVERWRITE) == frozenset({"Predict"})
    with pytest.raises(InvalidRequest, match="without scopes"):
        await patch(PatchAction.REMOVE, "Predict")
    assert (await house.tokens.get("ada", token.token_id)).description == "desk"


class CountingStore:
    """Answers with a token for every id, and counts who asks; lets go when told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def get(self, token_id: str) -> Token | None:
        self.asked.append(token_id)
        await self.may_answer.wait()
        return make_token(token_id) if token_id != "missing" else None


async def test_many_who_verify_at_once_cause_one_read() -> None:
    store = CountingStore()
    store.may_answer.clear()
    cache = TokenCache(store.get, freshness=Freshness(clock=lambda: 0.0))
    waiting = [asyncio.create_task(cache.get("t")) for _ in range(20)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    store.may_answer.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(one) for one in answers[1:]] == [Token] * 19
    assert len(store.asked) <= 2


async def test_a_token_that_is_sent_all_the_time_is_read_again_and_nobody_waits() -> None:
    store, now = CountingStore(), [0.0]
    cache = TokenCache(store.get, freshness=Freshness(clock=lambda: now[0]))
    token = await cache.get("t")
    assert token is not None
    caller = Caller(user_id=token.user_id, token_id="t", scopes=token.scopes, app_ids=token.app_ids)
    cache.remember(token, "text", caller)
    now[0] = 0.4
    assert (cache.recall("t", "text"), len(store.asked)) == (caller, 1)
    now[0] = 0.6
    assert cache.recall("t", "text") == caller
    await asyncio.gather(*cache._renewals._looks.values())
    now[0] = 1.5
    assert (await cache.get("t"), len(store.asked)) == (make_token("t"), 2)
    cache.forget("t")
    assert cache.recall("t", "text") is None


async def test_the_cache_is_bounded_and_remembers_no_absence() -> None:
    store = CountingStore()
    cache = TokenCache(store.get, freshness=Freshness(clock=lambda: 0.0), max_entries=2)
    for token_id in ("a", "b", "c", "c", "b", "a", "missing", "missing"):
        await cache.get(token_id)
    assert store.asked == ["a", "b", "c", "a", "missing", "missing"]
