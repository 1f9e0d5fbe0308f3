"""The safe fetcher, made when an input is a URL: its libraries take a quarter of a second of every start to import."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from modelyard.server.services.allow_list import AllowList
from modelyard.server.settings import FetchSettings
from modelyard.server.threads import in_thread

if TYPE_CHECKING:
    from modelyard.server.services.fetch import SafeFetcher


class LateFetcher:
    """A `Fetcher`.

    Args:
        settings: See `SafeFetcher`.

    Raises:
        InvalidRequest: The allow-list has an entry that means nothing.
    """

    def __init__(self, settings: FetchSettings) -> None:
        AllowList.parse(settings.allow)  # said at the start, not with the first URL
        self._settings = settings
        self._fetcher: SafeFetcher | None = None

    async def fetch(self, url: str, *, where: str, tenant: str) -> bytes:
        """See `Fetcher.fetch`."""
        fetcher = self._fetcher or await self._make()
        return await fetcher.fetch(url, where=where, tenant=tenant)

    async def aclose(self) -> None:
        """Let go of its threads."""
        if self._fetcher is not None:
            await self._fetcher.aclose()

    async def _make(self) -> SafeFetcher:
        await in_thread(import_module, "modelyard.server.services.fetch")
        # Imported by now, beside the requests of others.
        from modelyard.server.services.fetch import SafeFetcher

        if self._fetcher is None:
            self._fetcher = SafeFetcher(self._settings)
        return self._fetcher
