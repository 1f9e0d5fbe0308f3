"""Which functions of a class are typed methods. Needs no messages: a class without any is told without them."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelyard.sdk.typed.method import Method

MARK = "_modelyard_method"
"""The attribute by which a function is one."""
WHOLE_REQUESTS = "PostModelOutputs"
"""A method of this name takes whole requests from callers who name none; older folders of the newer style have it."""


def list_typed_methods(cls: type) -> dict[str, Method]:
    """The typed methods of a class and of what it inherits from, in the order of their definition."""
    found: dict[str, Method] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            method = inspect.getattr_static(value, MARK, None)
            if method is not None:
                found[name] = method
    return found


def takes_whole_requests(cls: type) -> bool:
    """Has it a `PostModelOutputs`?"""
    return callable(getattr(cls, WHOLE_REQUESTS, None))
