"""The problems of one config.yaml, gathered while it is read, so that the author sees all of them at once.

Errors refuse the file. Warnings say what has no effect or may be meant otherwise. Notes say how something was
understood, and what other tools would understand. Where the right text is certain, an edit of the file goes with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from modelyard.errors import InvalidConfig

_MAX_SHOWN = 50
_MAX_VALUE = 60
_MAX_PATH = 120


@dataclass(frozen=True, kw_only=True)
class Edit:
    """A piece of the file's text, and what it should be instead."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Misplaced:
    """A key in the wrong section."""

    name: str
    path: str
    """Of the section that it is in; "" is the top level."""
    home: str


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong, or that the author may have meant otherwise; `line` counts from 1."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        if not self.path:
            return f"line {self.line}: {self.message}"
        path = self.path if self.path.isprintable() else repr(self.path)
        return f"{path[:_MAX_PATH]} (line {self.line}): {self.message}"


class Problems:
    """Collects errors, warnings, notes and edits. The same warning about many entries of a list is kept once."""

    def __init__(self) -> None:
        self._errors: list[Problem] = []
        self._warnings: dict[str, Problem] = {}
        self._notes: dict[str, Problem] = {}
        self._edits: list[Edit] = []
        self._misplaced: list[Misplaced] = []
        self.is_unreadable = False
        """Reading ended before the end of the file."""
        self.unknown_keys = {"top": 0, "below": 0}

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(sorted(self._errors, key=lambda problem: problem.line))

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(sorted(self._warnings.values(), key=lambda problem: problem.line))

    @property
    def notes(self) -> tuple[Problem, ...]:
        return tuple(sorted(self._notes.values(), key=lambda problem: problem.line))

    @property
    def edits(self) -> tuple[Edit, ...]:
        return tuple(sorted(self._edits, key=lambda edit: edit.start))

    @property
    def misplaced(self) -> tuple[Misplaced, ...]:
        return tuple(self._misplaced)

    def misplace(self, name: str, path: str, home: str) -> None:
        self._misplaced.append(Misplaced(name=name, path=path, home=home))

    def add(self, path: str, line: int, message: str, edit: Edit | None = None) -> None:
        self._errors.append(Problem(path=path, line=line, message=message))
        self._edits += [edit] if edit else []

    def warn(self, path: str, line: int, message: str, edit: Edit | None = None) -> None:
        self._warnings.setdefault(_general(path), Problem(path=path, line=line, message=message))
        self._edits += [edit] if edit else []

    def note(self, path: str, line: int, message: str, edit: Edit | None = None) -> None:
        self._notes.setdefault(_general(path), Problem(path=path, line=line, message=message))
        self._edits += [edit] if edit else []

    def refuse(self, source: str) -> InvalidConfig:
        """Make the error that lists every problem, one a line, and the warnings: a slip in a key may be the cause."""
        errors = self.errors
        count = "1 problem" if len(errors) == 1 else f"{len(errors)} problems"
        lines = [f"  {problem}" for problem in errors[:_MAX_SHOWN]]
        if len(errors) > _MAX_SHOWN:
            lines.append(f"  and {len(errors) - _MAX_SHOWN} more")
        lines += [f"  warning: {problem}" for problem in self.warnings[:_MAX_SHOWN]]
        return InvalidConfig("\n".join([f"{source} has {count}:", *lines]))


def _general(path: str) -> str:
    """The same for every entry of a list."""
    return re.sub(r"\[\d+\]", "[]", path)


def show(value: str) -> str:
    """Quote a value of the author's for a message, shortened."""
    return repr(value if len(value) <= _MAX_VALUE else f"{value[: _MAX_VALUE - 1]}…")
