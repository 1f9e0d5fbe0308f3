"""Param: a default value that says more of an argument: what it is for, its range, its choices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Param:
    """The default of an argument, and what to tell callers about it.

    The method itself gets the plain default: `n` is 3 where the caller does not send one.

        def predict(self, text: str, n: int = Param(default=3, min_value=1, description="How often.")) -> str: ...

    Args:
        default: The value where the caller sends none.
        description: What it is for.
        min_value, max_value: What makes sense. They are told, not enforced.
        choices: The values that make sense.
        is_param: Is it a setting, rather than an input?
    """

    default: Any = None
    description: str | None = None
    min_value: float | None = None
    max_value: float | None = None
    choices: Sequence[Any] | None = None
    is_param: bool = True
