"""What the tests of the control loops share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.control import ControlRoom, open_room


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[ControlRoom]:
    async with open_room(tmp_path) as room:
        yield room
