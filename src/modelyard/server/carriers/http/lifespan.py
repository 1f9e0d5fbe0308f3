"""ASGI's lifespan: the application is told when to start up and when to shut down."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from modelyard.errors import InternalError
from modelyard.server.carriers.http.exchange import Event

log = logging.getLogger(__name__)


class Lifespan:
    """One application's. An application that does not know it fails at once, and is served all the same.

    Args:
        app: The application.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._steps: asyncio.Queue[Event] = asyncio.Queue()
        self._answer: asyncio.Future[Event] | None = None
        self._task: asyncio.Task[None] | None = None

    async def start_up(self) -> None:
        """Raises `InternalError` where the application says that it failed."""
        self._task = asyncio.create_task(self._run(), name="lifespan")
        answer = await self._ask("startup")
        if answer["type"] == "lifespan.startup.failed":
            await self._task
            raise InternalError(answer.get("message") or "the application did not start")

    async def shut_down(self) -> None:
        """Wait for the application to have shut down."""
        task, self._task = self._task, None
        if task is not None and not task.done():
            await self._ask("shutdown")
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _ask(self, step: str) -> Event:
        self._answer = asyncio.get_running_loop().create_future()
        self._steps.put_nowait({"type": f"lifespan.{step}"})
        return await self._answer

    async def _run(self) -> None:
        try:
            await self._app({"type": "lifespan", "asgi": {"version": "3.0"}}, self._steps.get, self._send)
        except Exception as error:  # noqa: BLE001 - how an application says that it knows no lifespan
            log.debug("lifespan.unknown error=%r", error)
        finally:
            await self._send({"type": "lifespan.unknown"})

    async def _send(self, event: Event) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(event)
