"""What is remembered for a while is looked at again before it is too old, beside the requests: none of them waits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable

log = logging.getLogger(__name__)


class Renewals:
    """Looks that are under way, one for each key."""

    def __init__(self) -> None:
        self._looks: dict[Hashable, asyncio.Task[None]] = {}

    def begin(self, key: Hashable, look: Callable[[], Awaitable[object]]) -> None:
        """Have `look` remember anew, unless it does already. What it raises is the next request's to meet."""
        if key not in self._looks:
            self._looks[key] = asyncio.get_running_loop().create_task(self._run(key, look))

    async def _run(self, key: Hashable, look: Callable[[], Awaitable[object]]) -> None:
        try:
            await look()
        except Exception:
            log.debug("renewal.failed", exc_info=True)
        finally:
            del self._looks[key]
