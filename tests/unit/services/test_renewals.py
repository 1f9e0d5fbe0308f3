"""What is remembered holds while nothing is written: asked once for all of it, and never believed too long."""

from __future__ import annotations

import asyncio

import pytest

from modelyard.server.services.renewals import FRESH_S, RENEW_S, Freshness, Renewals


class Marks:
    """A store that counts how often its mark is asked for."""

    def __init__(self) -> None:
        self.mark: str | None = "a"
        self.asked = 0
        self.now = 10.0
        self.takes_s = 0.0
        self.error: Exception | None = None
        self.freshness = Freshness(self.read, clock=lambda: self.now)

    async def read(self) -> str | None:
        self.asked += 1
        self.now += self.takes_s
        if self.error is not None:
            raise self.error
        return self.mark


@pytest.fixture
def marks() -> Marks:
    return Marks()


async def test_what_was_read_after_a_look_is_confirmed_by_the_next(marks: Marks) -> None:
    assert not await marks.freshness.confirm(9.0)  # nobody knows what was before
    read_at = marks.now
    for _ in range(3):
        marks.now += 2 * FRESH_S
        assert marks.freshness.age_s(read_at) >= FRESH_S
        assert await marks.freshness.confirm(read_at)
        assert marks.freshness.age_s(read_at) == 0
    assert marks.freshness.age_s(9.0) == marks.now - 9.0


async def test_what_was_read_before_a_change_is_not(marks: Marks) -> None:
    await marks.freshness.confirm(0.0)
    read_at = marks.now
    marks.now, marks.mark = marks.now + RENEW_S, "b"
    assert not await marks.freshness.confirm(read_at)
    marks.now += RENEW_S
    assert not await marks.freshness.confirm(read_at)


async def test_what_was_read_while_a_look_was_under_way_is_not(marks: Marks) -> None:
    """It may be of before a change that the mark has already."""
    marks.takes_s = 0.2
    began = marks.now
    await marks.freshness.confirm(0.0)
    for read_at, is_confirmed in ((began + 0.1, False), (began + 0.2, True)):
        marks.now += RENEW_S
        assert await marks.freshness.confirm(read_at) == is_confirmed


async def test_many_cause_one_look_and_a_look_is_not_repeated_soon(marks: Marks) -> None:
    await asyncio.gather(*(marks.freshness.confirm(1.0) for _ in range(20)))
    await marks.freshness.confirm(1.0)
    assert marks.asked == 1
    marks.now += RENEW_S
    waiting = [asyncio.create_task(marks.freshness.confirm(10.0)) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    assert (await asyncio.gather(*waiting, return_exceptions=True))[1:] == [True] * 4
    assert marks.asked == 2


@pytest.mark.parametrize("is_broken", [True, False])
async def test_a_store_that_does_not_know_confirms_nothing(marks: Marks, is_broken: bool) -> None:
    if is_broken:
        marks.error = OSError("no database")
    else:
        marks.mark = None
    for _ in range(3):
        read_at = marks.now
        marks.now += RENEW_S
        assert not await marks.freshness.confirm(read_at)


async def test_a_renewal_looks_only_where_something_was_written(marks: Marks) -> None:
    renewals, looks = Renewals(marks.freshness), []

    async def look() -> None:
        looks.append(marks.now)

    async def renew(read_at: float) -> int:
        renewals.begin("key", read_at, look)
        renewals.begin("key", read_at, look)
        await asyncio.gather(*renewals._looks.values())
        return len(looks)

    assert await renew(1.0) == 1
    read_at = marks.now
    marks.now += RENEW_S
    assert await renew(read_at) == 1
    marks.now, marks.mark = marks.now + RENEW_S, "b"
    assert await renew(read_at) == 2
