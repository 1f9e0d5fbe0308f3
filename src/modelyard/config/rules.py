"""What a value may look like. A rule refuses what is wrong, knows what was meant, and says the same as JSON schema."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelyard.errors import InvalidConfig

Check = Callable[[str], str]
"""Given a value, says what is wrong with it (`is not ...; use ...`), or ""."""


def _accept(text: str) -> str:
    del text
    return ""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """The values that a key of text may have."""

    complain: Check = _accept
    mend: Check = _accept
    """Given a wrong value, the right one where it is certain; otherwise ""."""
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": ["string", "number"]})
    """The same as JSON schema. Editors read `2` as a number, so most rules take numbers, too."""
    takes_any_word: bool = False
    """Whether `null` and `no` are text, too."""


ANY_TEXT = Rule()
LABEL = Rule(
    schema={"type": ["string", "number", "boolean"], "pattern": r"\S"},
    takes_any_word=True,
)
"""Any word is a label, `no` and `0` as well."""


def matching(pattern: str, advice: str, *, mend: Check = _accept) -> Rule:
    """Text of a shape; `advice` is what follows the value: `is not an id; use ...`."""
    shape = re.compile(pattern, re.ASCII)

    def complain(text: str) -> str:
        return "" if shape.fullmatch(text) else advice

    return Rule(complain=complain, mend=mend, schema={"type": ["string", "number"], "pattern": f"^(?:{pattern})$"})


def one_of(*allowed: str) -> Rule:
    """One of a few words."""

    def complain(text: str) -> str:
        return "" if text in allowed else f"is not supported; use {' or '.join(allowed)}"

    def mend(text: str) -> str:
        word = text.strip().lower()
        return word if word in allowed else ""

    return Rule(complain=complain, mend=mend, schema={"enum": list(allowed)})


def quantity(parse: Callable[[str], int], pattern: str, *, mend: Check, low: int = 0) -> Rule:
    """An amount that `parse` reads; from `low` on. The parser's message starts with the value, which is added later."""

    def complain(text: str) -> str:
        try:
            return "" if parse(text) >= low else "is not above 0"
        except InvalidConfig as error:
            return error.message[error.message.index(" is not ") + 1 :]

    schema: dict[str, Any] = {"type": ["string", "number"], "pattern": f"^(?:{pattern})$", "minimum": 0}
    if low:
        del schema["minimum"]
        schema |= {"exclusiveMinimum": 0, "not": {"type": "string", "pattern": r"^[0.]+([eE].*|[a-zA-Z]*)$"}}
    return Rule(complain=complain, mend=mend, schema=schema)
