"""Who calls, and may they: the token, the descriptor's kind of authentication and scopes, and the app. Default: no."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Protocol

from modelyard.errors import Forbidden, Unauthenticated, UserNotFound
from modelyard.server.records import AppKey, Caller
from modelyard.wire.methods import Method, expand_scopes, load_methods

ALL_SCOPES = "All"
SCHEMES = frozenset({"key", "bearer"})
QUICK_SCHEME = "Key "
"""As published clients write it."""
OWN_ALIASES = frozenset({"", "me"})
TOKEN_HINT = "send the header 'authorization: Key TOKEN'"  # noqa: S105  an explanation, not a secret


class TokenVerifier(Protocol):
    """The part of the tokens' service that this file needs."""

    def recall(self, text: str) -> Caller | None:
        """Whose token this is, where that is known without asking; None: `verify` it."""
        ...

    async def verify(self, text: str) -> Caller:
        """Whose token this is; raises `Unauthenticated`."""
        ...


class Access:
    """Turns a header into a caller, and a caller and a method into an app that may be worked on."""

    def __init__(self, tokens: TokenVerifier) -> None:
        self._tokens = tokens

    def recall(self, authorization: str | None) -> Caller | None:
        """As `authenticate`, where the answer is known already: to wait costs as much as the rest."""
        if authorization is not None and authorization.startswith(QUICK_SCHEME):
            return self._tokens.recall(authorization[len(QUICK_SCHEME) :])
        return None

    async def authenticate(self, authorization: str | None) -> Caller:
        """The owner of the token in the header; raises `Unauthenticated`."""
        scheme, _, text = (authorization or "").strip().partition(" ")
        text = text.strip()
        if not scheme:
            raise Unauthenticated("no token was sent", hint=TOKEN_HINT)
        if scheme.lower() not in SCHEMES or not text:
            raise Unauthenticated("the authorization header is not 'Key TOKEN' or 'Bearer TOKEN'", hint=TOKEN_HINT)
        return await self._tokens.verify(text)

    def authorize(self, caller: Caller, method: Method, user_id: str, app_id: str) -> AppKey:
        """The user and app that the call works on, ids resolved.

        Raises:
            Forbidden: the token lacks a scope or is bound to other apps, or no token of ours opens this method.
            UserNotFound: the message names another user, whether or not there is one.
        """
        if not method.takes_tokens:  # all of ours are personal; browser sessions and administrators' doors do not exist
            raise Forbidden(f"{method.name} cannot be called with a token (the contract asks for {method.auth.value})")
        if ALL_SCOPES not in caller.scopes and not method.scopes <= _expand(caller.scopes):
            missing = ", ".join(sorted(method.scopes - _expand(caller.scopes)))
            raise Forbidden(f"{method.name} needs scopes that the token does not have: {missing}")
        if user_id not in OWN_ALIASES and user_id != caller.user_id:
            raise UserNotFound(f"user {user_id!r} does not exist, or the token may not see it")
        if caller.app_ids:
            _check_bound_token(caller, method, app_id)
        return _make_key(caller.user_id, app_id)


def _check_bound_token(caller: Caller, method: Method, app_id: str) -> None:
    if app_id in caller.app_ids and not _is_user_level(method.name):
        return
    if not app_id and not method.scopes:
        return
    allowed = ", ".join(sorted(caller.app_ids))
    where = f"app {app_id!r}" if app_id and not _is_user_level(method.name) else "things outside of an app"
    raise Forbidden(f"the token is bound to apps ({allowed}); {method.name} on {where} is not allowed")


@cache
def _is_user_level(name: str) -> bool:
    """Does the method work on a user, whatever app the message names? Its REST bindings tell: keys, apps, clusters."""
    templates = [binding.template for binding in load_methods()[name].bindings]
    return any("{user_app_id.user_id}" in one for one in templates) and not any(
        "{user_app_id.app_id}" in one for one in templates
    )


@lru_cache(maxsize=1024)
def _make_key(user_id: str, app_id: str) -> AppKey:
    return AppKey(user_id=user_id, app_id=app_id)


@lru_cache(maxsize=1024)
def _expand(scopes: frozenset[str]) -> frozenset[str]:
    return expand_scopes(scopes)
