"""What some carriers offer beside ASGI (`carriers/base.py`), as doors use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from modelyard.server.api.doorway.types import Scope
from modelyard.server.carriers.base import SHORTCUTS, Shortcuts

T = TypeVar("T")


def recall(scope: Scope, key: str, make: Callable[[Scope], T]) -> T:
    """What `make` makes of a request's head; of one that came before, what it made then."""
    shortcuts: Shortcuts | None = scope.get(SHORTCUTS)
    if shortcuts is None:
        return make(scope)
    made: T | None = shortcuts.memo.get(key)
    if made is None:
        made = shortcuts.memo[key] = make(scope)
    return made


def without_shortcuts(scope: Scope) -> Scope:
    """For who stands between an application and its `receive` and `send`: nothing may pass it by."""
    return {name: value for name, value in scope.items() if name != SHORTCUTS}
