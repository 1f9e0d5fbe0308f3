"""The processes of fronts, kept running: one that ends is started again, and has lost its own requests alone."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias

from modelyard.errors import InternalError

log = logging.getLogger(__name__)

BACK_OFF_S = (0.0, 0.2, 1.0, 5.0)
HEALTHY_S = 30.0
"""A front that ran this long has earned a start without a pause."""
TERM_S = 5.0
KEPT_VARIABLES = frozenset({"PATH", "LANG", "LC_ALL", "HOME", "TMPDIR", "TZ", "PYTHONUNBUFFERED", "PYTHONPATH"})
KEPT_PREFIXES = ("MALLOC_",)
Process: TypeAlias = asyncio.subprocess.Process


def make_environ() -> dict[str, str]:
    """The variables of a front: none of the house's secrets."""
    return {
        name: value for name, value in os.environ.items() if name in KEPT_VARIABLES or name.startswith(KEPT_PREFIXES)
    }


class FrontProcess:
    """One front.

    Args:
        name: For the log.
        start: Starts its process, and returns when it serves.
    """

    def __init__(self, name: str, start: Callable[[], Awaitable[Process]]) -> None:
        self._name = name
        self._start = start
        self._process: Process | None = None
        self._keeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it, and keep it from then on."""
        self._process = await self._start()
        self._keeping = asyncio.create_task(self._keep(self._process), name=self._name)

    async def stop(self, grace_s: float) -> None:
        """Keep it no more, let it end by itself for so long, then end it."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        process, self._process = self._process, None
        if process is not None:
            await end_process(process, grace_s=grace_s)

    def leave(self) -> None:
        """From here on its end is no surprise."""
        if self._keeping is not None:
            self._keeping.cancel()

    async def _keep(self, process: Process) -> None:
        failures = 0
        loop = asyncio.get_running_loop()
        while True:
            begun = loop.time()
            code = await process.wait()
            failures = 0 if loop.time() - begun > HEALTHY_S else failures + 1
            pause_s = BACK_OFF_S[min(failures, len(BACK_OFF_S)) - 1] if failures else 0.0
            log.warning("front.ended name=%s code=%s restart_s=%g", self._name, code, pause_s)
            await asyncio.sleep(pause_s)
            try:
                self._process = process = await self._start()
            except (InternalError, OSError) as error:
                log.error("front.not_started name=%s reason=%r", self._name, str(error))


async def end_process(process: Process, *, grace_s: float) -> None:
    """Wait for its end, then ask for it, then force it."""
    for pause_s, signal in ((grace_s, process.terminate), (TERM_S, process.kill)):
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await process.wait()
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            signal()
    await process.wait()
