"""What a user has in the depot: which content an upload may refer to without sending it, and how much it counts.

Whoever knows only a digest may not use the file: it may be somebody else's. A user may refer to what their own versions
are made of, since their models can read that anyway; everything else is sent, whether the depot has it or not. That is
found out from the user's own versions alone, so that neither the answer nor its time tells what others have.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from modelyard.errors import InternalError, TooLarge
from modelyard.parts.depot import Depot
from modelyard.parts.files import FileEntry
from modelyard.parts.hub.sizes import show_size
from modelyard.server.store.base import Store

REMEMBERED_FILES = 200_000
"""Of parts that were read, this many lines are remembered: some 30 MB."""
SEARCHED_PARTS = 512
"""Content is looked for in this many of a user's newest parts."""

Sizes = Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Belonging:
    """One user's content, when it was looked at."""

    visible: Sequence[Sizes]
    """Sizes by digest, a mapping for each part that the token may see."""
    quota_bytes: int
    """0: there is no limit."""
    used_bytes: int
    """Counted only where there is a limit. Each content counts once."""
    all_parts: Sequence[Sizes]

    def has(self, entry: FileEntry) -> bool:
        """May the user refer to this content?"""
        return any(part.get(entry.digest) == entry.size_bytes for part in self.visible)

    def check(self, entries: Iterable[FileEntry]) -> None:
        """Is there room for these under the user's quota? Raises TooLarge."""
        if not self.quota_bytes:
            return
        sizes = {entry.digest: entry.size_bytes for entry in entries}
        new = sum(size for digest, size in sizes.items() if not any(digest in part for part in self.all_parts))
        if new and self.used_bytes + new > self.quota_bytes:
            raise TooLarge(
                f"your versions have {show_size(self.used_bytes)}; {show_size(new)} more are above your quota of "
                f"{show_size(self.quota_bytes)}",
                hint="delete versions that are not needed any more: modelyard delete MODEL@VERSION",
            )


class Belongings:
    """Finds what users have. Parts are immutable: what was read of one is remembered."""

    def __init__(self, store: Store, depot: Depot, *, quota_bytes: int = 0) -> None:
        self._store = store
        self._depot = depot
        self._quota_bytes = quota_bytes
        self._parts: OrderedDict[str, Sizes] = OrderedDict()
        self._remembered = 0
        self._lock = threading.Lock()

    async def of(self, user_id: str, *, app_ids: frozenset[str] = frozenset()) -> Belonging:
        """What the user has, and may refer to with a token that is bound to these apps; none: to all."""
        rows = await self._store.versions.list_parts(user_id)
        seen = [digest for row in rows if not app_ids or row[0] in app_ids for digest in row[1:] if digest]
        counted = [digest for row in rows for digest in row[1:] if digest] if self._quota_bytes else []
        return await asyncio.to_thread(self._read, list(dict.fromkeys(seen))[:SEARCHED_PARTS], set(counted))

    def _read(self, visible: Sequence[str], counted: set[str]) -> Belonging:
        parts = [self._read_part(digest) for digest in counted]
        sizes: dict[str, int] = {}
        for part in parts:
            sizes.update(part)
        return Belonging(
            visible=[self._read_part(digest) for digest in visible],
            quota_bytes=self._quota_bytes,
            used_bytes=sum(sizes.values()),
            all_parts=parts,
        )

    def _read_part(self, digest: str) -> Sizes:
        with self._lock:
            if digest in self._parts:
                self._parts.move_to_end(digest)
                return self._parts[digest]
        try:
            sizes = {entry.digest: entry.size_bytes for entry in self._depot.get_part(digest).files}
        except InternalError:  # damaged or gone: it gives nobody anything
            return {}
        with self._lock:
            self._remember(digest, sizes)
        return sizes

    def _remember(self, digest: str, sizes: Sizes) -> None:
        if digest not in self._parts:
            self._parts[digest] = sizes
            self._remembered += len(sizes)
        while self._remembered > REMEMBERED_FILES and len(self._parts) > 1:
            _, gone = self._parts.popitem(last=False)
            self._remembered -= len(gone)
