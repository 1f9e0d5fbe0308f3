"""Every adapter of a Protocol passes the same tests: fixtures are parametrised by adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from modelyard.server.store.base import Store
from modelyard.server.store.memory import MemoryStore
from support.stores import open_store


@pytest.fixture(params=["sqlite", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store of each kind. PostgreSQL joins `params` with its own way to make an empty database."""
    if request.param == "memory":
        yield MemoryStore()
        return
    async with open_store(tmp_path) as opened:
        yield opened
