"""What is remembered for a while is looked at again before it is too old, beside the requests: none of them waits.

Where nothing was written since it was read, that is all that is asked, once for everything that is remembered.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Hashable

log = logging.getLogger(__name__)

FRESH_S, RENEW_S = 1.0, 0.5
"""What is remembered is not used when it is older than this; and is looked at again where it is this old."""


async def _know_nothing() -> str | None:
    """The mark of a store that has none."""
    return None


class Freshness:
    """Up to when what was read of the store is known to have been so: nothing was written meanwhile.

    Args:
        mark: See `Store.mark`.
        clock: As `time.monotonic`.
    """

    def __init__(
        self, mark: Callable[[], Awaitable[str | None]] = _know_nothing, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._mark = mark
        self.now = clock
        """What the times are of at which things were read."""
        self._last: str | None = None
        self._unchanged_from = math.inf
        self._unchanged_until = -math.inf
        self._asked_at = -math.inf
        self._asking: asyncio.Task[None] | None = None

    def age_s(self, read_at: float) -> float:
        """How long ago something that was read at this time is known to have been so."""
        is_confirmed = self._unchanged_from <= read_at < self._unchanged_until
        return self.now() - (self._unchanged_until if is_confirmed else read_at)

    async def confirm(self, read_at: float) -> bool:
        """Was nothing written since something was read at this time? Many who ask at once cause one look."""
        if self._asking is None and self.now() - self._asked_at >= RENEW_S:
            self._asking = asyncio.create_task(self._ask())
        if self._asking is not None:
            await asyncio.wait({self._asking})
        return self.age_s(read_at) < RENEW_S

    async def _ask(self) -> None:
        asked_at = self._asked_at = self.now()
        try:
            mark = await self._mark()
        except Exception:
            log.debug("mark.failed", exc_info=True)
            mark = None
        finally:
            self._asking = None
        if mark is None or mark != self._last:
            self._unchanged_from = math.inf if mark is None else self.now()
        self._last, self._unchanged_until = mark, asked_at


class Renewals:
    """Looks that are under way, one for each key.

    Args:
        freshness: What knows whether they are needed.
    """

    def __init__(self, freshness: Freshness) -> None:
        self._freshness = freshness
        self._looks: dict[Hashable, asyncio.Task[None]] = {}

    def begin(self, key: Hashable, read_at: float, look: Callable[[], Awaitable[object]]) -> None:
        """Have `look` remember anew what was read at this time, unless it does already, or nothing was written since.
        What it raises is the next request's to meet."""
        if key not in self._looks:
            self._looks[key] = asyncio.get_running_loop().create_task(self._run(key, read_at, look))

    async def _run(self, key: Hashable, read_at: float, look: Callable[[], Awaitable[object]]) -> None:
        try:
            if not await self._freshness.confirm(read_at):
                await look()
        except Exception:
            log.debug("renewal.failed", exc_info=True)
        finally:
            del self._looks[key]
