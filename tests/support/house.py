"""Every noun's service over one real store, with a clock that moves when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from modelyard.server.routing.router import Router
from modelyard.server.services.apps import Apps
from modelyard.server.services.deployments import Deployments
from modelyard.server.services.logs import Logs
from modelyard.server.services.models import Models
from modelyard.server.services.renewals import Freshness
from modelyard.server.services.tokens import Tokens
from modelyard.server.services.users import Users
from modelyard.server.services.versions import Versions
from modelyard.server.store.sql import SqlStore
from support.stores import Clock, make_user, open_store


@dataclass
class House:
    """The services, and what they stand on."""

    store: SqlStore
    clock: Clock

    def __post_init__(self) -> None:
        self.users = Users(self.store, now=self.clock)
        self.apps = Apps(self.store, is_single_user=True, now=self.clock)
        self.models = Models(self.store, self.apps, now=self.clock)
        self.versions = Versions(self.store, self.models, now=self.clock)
        self.router = Router()
        self.deployments = Deployments(self.store, self.versions, self.router, now=self.clock)
        self.tokens = Tokens(self.store, b"pepper", now=self.clock, freshness=Freshness(clock=self.clock.monotonic))
        self.logs = Logs(self.store, now=self.clock)


@asynccontextmanager
async def open_house(folder: Path) -> AsyncIterator[House]:
    """Services with the user `ada` in their store."""
    async with open_store(folder) as store:
        await store.users.add(make_user())
        try:
            yield House(store, Clock())
        finally:
            await finish_looks()


async def finish_looks() -> None:
    """What is looked at again in the background is over before its store is closed: a connection that is in use then
    is closed by nobody."""
    background = ("Renewals.", "Freshness.")
    looks = [task for task in asyncio.all_tasks() if task.get_coro().__qualname__.startswith(background)]
    if looks:
        await asyncio.wait(looks)
