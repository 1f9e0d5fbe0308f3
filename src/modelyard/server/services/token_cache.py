"""Tokens as last read from the store, for a second, or while nothing is written: the hot path does not wait for it."""

from __future__ import annotations

import asyncio
import hmac
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from weakref import WeakValueDictionary

from modelyard.server.records import Caller, Token
from modelyard.server.services.renewals import FRESH_S, RENEW_S, Freshness, Renewals

MAX_ENTRIES = 10_000


@dataclass(slots=True)
class _Entry:
    token: Token
    read_at: float
    verified: tuple[str, Caller] | None = None
    """The text that was found to be this token's, and whose it is; None where it has to be looked at each time."""
    verified_until: float = 0.0
    """Then it is looked at again, for tokens end."""


class TokenCache:
    """A bounded cache in front of `TokenStore.get`. What is not there is not remembered."""

    def __init__(
        self,
        read: Callable[[str], Awaitable[Token | None]],
        *,
        freshness: Freshness | None = None,
        max_entries: int = MAX_ENTRIES,
    ) -> None:
        self._read = read
        self._max_entries = max_entries
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._freshness = freshness or Freshness()
        self._renewals = Renewals(self._freshness)
        self._reading: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def get(self, token_id: str) -> Token | None:
        """The token as it was a second ago, or later. Many who ask at once cause one read."""
        token = self._peek(token_id)
        if token is not None:
            return token
        async with self._reading.setdefault(token_id, asyncio.Lock()):
            return self._peek(token_id) or await self._fetch(token_id)

    def recall(self, token_id: str, text: str) -> Caller | None:
        """Whose token this is, where the same text was verified against what is remembered. One that is sent again and
        again is read again in time."""
        entry = self._entries.get(token_id)
        if entry is None or entry.verified is None:
            return None
        age_s = self._freshness.age_s(entry.read_at)
        if age_s >= RENEW_S:
            if age_s >= FRESH_S:
                return None
            self._renewals.begin(token_id, entry.read_at, lambda: self._fetch(token_id))
        if self._freshness.now() >= entry.verified_until:
            return None
        known, caller = entry.verified
        return caller if hmac.compare_digest(known, text) else None

    def remember(self, token: Token, text: str, caller: Caller) -> None:
        """The text was found to be this token's, which does not end within `FRESH_S`."""
        entry = self._entries.get(token.token_id)
        if entry is not None and entry.token is token:
            entry.verified = text, caller
            entry.verified_until = self._freshness.now() + FRESH_S

    def forget(self, token_id: str) -> None:
        """It has changed."""
        self._entries.pop(token_id, None)

    def _peek(self, token_id: str) -> Token | None:
        entry = self._entries.get(token_id)
        return entry.token if entry is not None and self._freshness.age_s(entry.read_at) < FRESH_S else None

    async def _fetch(self, token_id: str) -> Token | None:
        read_at = self._freshness.now()
        token = await self._read(token_id)
        if token is None:
            self.forget(token_id)
            return None
        self._entries[token_id] = _Entry(token, read_at)
        self._entries.move_to_end(token_id)
        while len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)
        return token
