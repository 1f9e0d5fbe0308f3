"""ASGI in types: nothing here knows which server carries the application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from modelyard.server.carriers.base import SHORTCUTS

Scope: TypeAlias = MutableMapping[str, Any]
Event: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Event]]
Send: TypeAlias = Callable[[Event], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]


def without_shortcuts(scope: Scope) -> Scope:
    """For who stands between an application and its `receive` and `send`: nothing may pass it by."""
    return {name: value for name, value in scope.items() if name != SHORTCUTS}
