"""Logs: bounded on their way in, stable on their way out."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from modelyard.server.records import LogLine, LogType, Page
from modelyard.server.services.log_buffer import LogBuffer, clean_line
from modelyard.server.services.logs import GONE, Logs
from support.house import House
from support.stores import Clock, add_model, add_version, open_store


@pytest.fixture(autouse=True)
async def versions(house: House) -> None:
    await add_model(house.store)
    for version_id in ("v1", "v2"):
        await add_version(house.store, version_id)


async def read(logs: Logs, version_id: str = "v1", page: Page | None = None) -> list[str]:
    return [line.message for line in await logs.list(version_id, LogType.BUILD, page or Page())]


async def test_what_was_appended_is_read_at_once(house: House) -> None:
    house.logs.append("v1", LogType.BUILD, "one\ntwo\n")
    house.logs.append("v1", LogType.RUN, "elsewhere")
    assert await read(house.logs) == ["one", "two"]
    assert await read(house.logs, "v2") == []


async def test_lines_are_written_by_themselves_while_it_runs(house: House) -> None:
    house.logs.start()
    house.logs.append("v1", LogType.BUILD, "one")
    async with asyncio.timeout(5):
        while await house.store.logs.last_sequence("v1", LogType.BUILD) == 0:  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.02)
    house.logs.append("v1", LogType.BUILD, "last words")
    await house.logs.aclose()
    assert await house.store.logs.last_sequence("v1", LogType.BUILD) == 2


async def test_threads_may_append(house: House) -> None:
    def write() -> None:
        for i in range(100):
            house.logs.append("v1", LogType.BUILD, str(i))

    threads = [threading.Thread(target=write) for _ in range(4)]
    for one in threads:
        one.start()
    while any(one.is_alive() for one in threads):
        await house.logs.flush()
    for one in threads:
        one.join()
    assert len(await read(house.logs, page=Page(size=1000))) == 400


async def test_a_flood_drops_its_own_oldest_lines_and_says_how_many(house: House) -> None:
    logs = Logs(house.store, now=house.clock, max_waiting_lines=3)
    for i in range(10):
        logs.append("v1", LogType.BUILD, str(i))
    logs.append("v2", LogType.BUILD, "quiet")
    lines = await read(logs)
    assert lines[0].startswith("[7 lines were dropped")
    assert lines[1:] == ["7", "8", "9"]
    assert await read(logs, "v2") == ["quiet"]


async def test_lines_wait_where_the_store_fails_and_are_written_once(house: House) -> None:
    works = house.store.logs.append
    calls = 0

    async def fail_first(lines: Sequence[LogLine]) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise OSError("disk full")
        await works(lines)

    house.store.logs.append = fail_first  # type: ignore[method-assign]
    house.logs.append("v1", LogType.BUILD, "one")
    with pytest.raises(OSError, match="disk full"):
        await house.logs.flush()
    house.logs.append("v1", LogType.BUILD, "two")
    assert await read(house.logs) == ["one", "two"]


async def test_a_reader_that_goes_away_costs_and_doubles_no_line(house: House) -> None:
    for i in range(50):
        house.logs.append("v1", LogType.BUILD, str(i))
        reader = asyncio.create_task(house.logs.list("v1", LogType.BUILD, Page()))
        await asyncio.sleep(0)
        if i % 2:
            await asyncio.sleep(0.001)
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
    assert await read(house.logs) == [str(i) for i in range(50)]


async def test_lines_that_are_no_longer_kept_have_their_place(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    async with open_store(tmp_path / "small", kept_log_lines=5) as store:
        await add_model(store)
        await add_version(store, "v1")
        logs = Logs(store, now=Clock())
        for i in range(1, 13):
            logs.append("v1", LogType.BUILD, str(i))
        pages = [await read(logs, page=Page(number=number, size=5)) for number in (1, 2, 3, 4)]
    assert pages == [[GONE] * 5, [GONE] * 2 + ["8", "9", "10"], ["11", "12"], []]


def test_a_line_is_safe_to_show() -> None:
    assert clean_line("\x1b[31mred\x1b[0m \x1b]0;title\x07text\tok") == "red text\tok"
    assert clean_line("bell\x07 back\x08 \u202ertl") == "bell\\x07 back\\x08 \\x202ertl"
    assert clean_line("x" * 9000) == "x" * 8192 + " [808 more characters]"


def test_an_empty_line_is_a_line() -> None:
    buffer = LogBuffer(now=Clock())
    buffer.append("v1", LogType.BUILD, "")
    buffer.append("v1", LogType.BUILD, "a\r\nb")
    assert [line.message for line in buffer.take()] == ["", "a", "b"]
    assert buffer.take() == []
