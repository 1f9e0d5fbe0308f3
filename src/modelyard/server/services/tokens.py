"""Personal access tokens: made, shown once, checked at every request, revoked within a second."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from modelyard.errors import Forbidden, InvalidRequest, TokenNotFound, Unauthenticated
from modelyard.server.records import Caller, Page, Token
from modelyard.server.services.fields import check_id, check_text
from modelyard.server.services.patches import PatchAction, patch_text
from modelyard.server.services.renewals import FRESH_S, Freshness
from modelyard.server.services.token_cache import TokenCache
from modelyard.server.services.token_text import digest_of, make_token_text, read_token_id
from modelyard.server.store.base import Store
from modelyard.wire.methods import expand_scopes, list_scope_names

ALL = "All"
DEFAULT_LIFE = timedelta(days=90)
MAX_LIFE = timedelta(days=365)
FRESH = timedelta(seconds=2 * FRESH_S)
"""A token that ends sooner is looked at each time."""


class Tokens:
    """The tokens of all users."""

    def __init__(
        self,
        store: Store,
        pepper: bytes,
        *,
        now: Callable[[], datetime],
        freshness: Freshness | None = None,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._pepper = pepper
        self._now = now
        self._random_bytes = random_bytes
        self._cache = TokenCache(store.tokens.get, freshness=freshness)

    async def create(
        self,
        user_id: str,
        *,
        description: str = "",
        scopes: Collection[str] = (),
        app_ids: Collection[str] = (),
        expires_at: datetime | None = None,
        granted_by: Caller | None = None,
    ) -> tuple[Token, str]:
        """Make a token; its text is in the answer and nowhere else.

        Args:
            user_id: Whose token it is.
            description: For people.
            scopes: `Models_Get` or `Models:Get`; none stands for `All`.
            app_ids: The apps that it is bound to; none: all of the user's.
            expires_at: At most 365 days ahead; 90 days where it is not given.
            granted_by: Who asks; the new token may not do more than theirs.

        Raises:
            InvalidRequest: an unknown scope, an app's id that cannot be one, or a date out of range.
            Forbidden: `granted_by` lacks a scope that the token would have.
        """
        expires_at = expires_at or self._now() + DEFAULT_LIFE
        if not self._now() < expires_at <= self._now() + MAX_LIFE:
            raise InvalidRequest(
                f"expires_at {expires_at.isoformat()} is not allowed: use a time in the next {MAX_LIFE.days} days"
            )
        return await self._create(
            user_id,
            description=description,
            scopes=_check_grant(read_scopes(scopes) or frozenset({ALL}), granted_by),
            app_ids=_check_apps(app_ids),
            expires_at=expires_at,
            made=make_token_text(self._random_bytes),
        )

    async def create_bootstrap(self, user_id: str) -> tuple[Token, str]:
        """The first token of a server: everything, for ever, until it is revoked."""
        return await self._create_bootstrap(user_id, make_token_text(self._random_bytes))

    async def admit_bootstrap(self, user_id: str, kept: str) -> str:
        """See that there is a first token: the one that was kept, or a new one, whose text is returned."""
        kept_id = read_token_id(kept)
        if kept_id is None:
            return (await self.create_bootstrap(user_id))[1]
        if await self._store.tokens.get(kept_id) is None:
            await self._create_bootstrap(user_id, (kept_id, kept))
        return ""

    async def _create_bootstrap(self, user_id: str, made: tuple[str, str]) -> tuple[Token, str]:
        return await self._create(
            user_id,
            description="made at the first start",
            scopes=frozenset({ALL}),
            app_ids=frozenset(),
            expires_at=None,
            made=made,
        )

    def recall(self, text: str) -> Caller | None:
        """As `verify`, where the same text was verified within the last second: no request but the first waits."""
        token_id = read_token_id(text)
        return self._cache.recall(token_id, text) if token_id else None

    async def verify(self, text: str) -> Caller:
        """Whose token this is. Asks the store at most once a second for each token: a revocation is seen within that.

        Raises Unauthenticated where it is no token, or expired, or revoked.
        """
        token_id = read_token_id(text)
        token = await self._cache.get(token_id) if token_id else None
        if token is None or not hmac.compare_digest(token.digest, digest_of(text, self._pepper)):
            raise Unauthenticated(
                "the token is not valid", hint="modelyard env prints the one of this machine's server"
            )
        if token.revoked_at is not None:
            raise Unauthenticated(f"token {token.token_id} was revoked")
        if token.expires_at is not None and token.expires_at <= self._now():
            raise Unauthenticated(f"token {token.token_id} expired at {token.expires_at.isoformat()}")
        caller = Caller(user_id=token.user_id, token_id=token.token_id, scopes=token.scopes, app_ids=token.app_ids)
        if token.expires_at is None or token.expires_at - self._now() > FRESH:
            self._cache.remember(token, text, caller)
        return caller

    async def get(self, user_id: str, name: str) -> Token:
        """The user's token by its public id or its text; raises TokenNotFound."""
        token = await self._store.tokens.get(read_token_id(name) or name)
        if token is None or token.user_id != user_id or token.revoked_at is not None:
            raise TokenNotFound("token does not exist", hint="modelyard tokens lists the public ids")
        return token

    async def list(self, user_id: str, page: Page) -> Sequence[Token]:
        """The user's tokens that are not revoked, oldest first; expired ones included."""
        return await self._store.tokens.list(user_id, page)

    async def patch(
        self,
        user_id: str,
        name: str,
        *,
        description: str,
        scopes: Collection[str],
        action: PatchAction,
        granted_by: Caller | None = None,
    ) -> Token:
        """Change a token's description, or its scopes where some are given. Raises TokenNotFound, InvalidRequest, or
        Forbidden as `create` does."""
        token = await self.get(user_id, name)
        changed = token.scopes
        if scopes:
            changed = _patch_scopes(token.scopes, read_scopes(scopes), action)
            changed = _check_grant(changed, granted_by)
        description = patch_text(token.description, description, action)
        check_text("description", description)
        patched = replace(token, description=description, scopes=changed)
        if not await self._store.tokens.update(patched):
            raise TokenNotFound("token does not exist", hint="modelyard tokens lists the public ids")
        self._cache.forget(token.token_id)
        return patched

    async def revoke(self, user_id: str, name: str) -> None:
        """End a token, by its public id or its text; raises TokenNotFound."""
        token = await self.get(user_id, name)
        await self._store.tokens.revoke(user_id, token.token_id, self._now())
        self._cache.forget(token.token_id)

    async def _create(
        self,
        user_id: str,
        *,
        description: str,
        scopes: frozenset[str],
        app_ids: frozenset[str],
        expires_at: datetime | None,
        made: tuple[str, str],
    ) -> tuple[Token, str]:
        check_text("description", description)
        token_id, text = made
        token = Token(
            token_id=token_id,
            user_id=user_id,
            description=description,
            digest=digest_of(text, self._pepper),
            scopes=scopes,
            app_ids=app_ids,
            created_at=self._now(),
            expires_at=expires_at,
        )
        await self._store.tokens.add(token)
        return token, text


def read_scopes(names: Collection[str]) -> frozenset[str]:
    """Scopes as the descriptor writes them, from `Models:Get` or `Models_Get`; raises InvalidRequest, naming all that
    are not known."""
    scopes = frozenset(name.replace(":", "_") for name in names)
    unknown = sorted(scopes - set(list_scope_names()))
    if unknown:
        raise InvalidRequest(
            f"unknown scopes: {', '.join(name[:80] for name in unknown)}; "
            f"use {ALL}, Predict, or some of {', '.join(list_scope_names()[2:])}"
        )
    return scopes


def _check_grant(scopes: frozenset[str], granted_by: Caller | None) -> frozenset[str]:
    if granted_by is None or ALL in granted_by.scopes:
        return scopes
    missing = sorted(expand_scopes(scopes) - expand_scopes(granted_by.scopes))
    if missing:
        raise Forbidden(f"a token cannot give what it does not have itself: {', '.join(missing)}")
    return scopes


def _check_apps(app_ids: Collection[str]) -> frozenset[str]:
    for app_id in app_ids:
        check_id("app", app_id)
    return frozenset(app_ids)


def _patch_scopes(old: frozenset[str], given: frozenset[str], action: PatchAction) -> frozenset[str]:
    match action:
        case PatchAction.MERGE:
            return old | given
        case PatchAction.OVERWRITE:
            return given
        case PatchAction.REMOVE:
            if not old - given:
                raise InvalidRequest("a token without scopes could do nothing", hint="revoke it instead")
            return old - given
