"""The application is told when it starts and when it stops."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from modelyard.errors import InternalError
from modelyard.server.carriers.http.lifespan import Lifespan


def make_app(heard: list[str], *, startup: dict[str, str], shutdown: str = "lifespan.shutdown.complete") -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope == {"type": "lifespan", "asgi": {"version": "3.0"}}
        heard.append((await receive())["type"])
        await send(startup)
        if startup["type"].endswith("failed"):
            return
        heard.append((await receive())["type"])
        await send({"type": shutdown})
        heard.append("over")

    return app


async def test_an_application_starts_up_and_shuts_down() -> None:
    heard: list[str] = []
    lifespan = Lifespan(make_app(heard, startup={"type": "lifespan.startup.complete"}))
    await lifespan.start_up()
    assert heard == ["lifespan.startup"]
    await lifespan.shut_down()
    assert heard == ["lifespan.startup", "lifespan.shutdown", "over"]
    await lifespan.shut_down()


@pytest.mark.parametrize("message", ["no table", ""])
async def test_an_application_may_say_that_it_failed(message: str) -> None:
    lifespan = Lifespan(make_app([], startup={"type": "lifespan.startup.failed", "message": message}))
    with pytest.raises(InternalError, match=message or "did not start"):
        await lifespan.start_up()
    await lifespan.shut_down()


@pytest.mark.parametrize("asks_first", [True, False])
async def test_an_application_that_does_not_know_it_is_served_all_the_same(asks_first: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if asks_first:
            await receive()
        raise NotImplementedError(scope["type"])

    lifespan = Lifespan(app)
    await lifespan.start_up()
    await lifespan.shut_down()


async def test_an_application_that_returns_at_once_is_served() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        pass

    lifespan = Lifespan(app)
    await lifespan.start_up()
    await asyncio.sleep(0)
    await lifespan.shut_down()


async def test_an_application_that_fails_while_it_shuts_down_holds_nobody_up() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        raise LookupError

    lifespan = Lifespan(app)
    await lifespan.start_up()
    await asyncio.wait_for(lifespan.shut_down(), 5)


async def test_an_application_that_goes_on_behind_its_end_is_cancelled() -> None:
    ends = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        try:
            await asyncio.sleep(60)
        finally:
            ends.append("cancelled")

    lifespan = Lifespan(app)
    await lifespan.start_up()
    await asyncio.wait_for(lifespan.shut_down(), 5)
    assert ends == ["cancelled"]


async def test_nothing_that_never_started_shuts_down() -> None:
    await Lifespan(None).shut_down()
