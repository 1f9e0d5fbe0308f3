"""One key that config.yaml may have, declared once: the checker, the JSON schema and the reference page read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from modelyard.config.rules import ANY_TEXT, Rule


class Kind(Enum):
    """What stands behind the colon."""

    TEXT = auto()
    NUMBER = auto()
    TEXTS = auto()
    SECTION = auto()
    SECTIONS = auto()
    ANYTHING = auto()
    """Not looked into: of a key without effect."""


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key, and what may stand behind it."""

    name: str
    meaning: str
    """A sentence or two for who writes it: editors show it, and the reference page has it."""
    kind: Kind = Kind.TEXT
    rule: Rule = ANY_TEXT
    """Of the text, or of each text of a list."""
    default: str = ""
    """What holds where it is not given, in words."""
    examples: tuple[str, ...] = ()
    suggested: tuple[str, ...] = ()
    """Values that editors offer; others may be right as well."""
    low: int = 0
    high: int = 0
    is_required: bool = False
    advice: str = ""
    """What to write, where it is missing or of the wrong kind."""
    is_secret: bool = False
    """Its value is never shown."""
    idle: str = ""
    """Of a published key that has no effect here: what to do instead."""
    keys: Mapping[str, Key] = field(default_factory=dict)
    """Of a section, or of each section of a list."""


def by_name(*keys: Key) -> dict[str, Key]:
    """Keys as a section has them."""
    return {key.name: key for key in keys}


def idle_key(name: str, instead: str, *, kind: Kind = Kind.ANYTHING, rule: Rule = ANY_TEXT) -> Key:
    """A published key without effect here; `instead` says what to do."""
    return Key(name=name, meaning=f"Has no effect here: {instead}.", kind=kind, rule=rule, idle=instead)
