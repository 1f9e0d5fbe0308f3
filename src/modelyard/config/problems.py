"""The problems of one config.yaml, gathered while it is read, so that the author sees all of them at once."""

from __future__ import annotations

import re
from dataclasses import dataclass

from modelyard.errors import InvalidConfig

_MAX_SHOWN = 50
_MAX_VALUE = 60
_MAX_PATH = 120


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
    """Collects errors and warnings. The same warning about many entries of a list is kept once."""

    def __init__(self) -> None:
        self._errors: list[Problem] = []
        self._warnings: dict[str, Problem] = {}

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(sorted(self._errors, key=lambda problem: problem.line))

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(sorted(self._warnings.values(), key=lambda problem: problem.line))

    def add(self, path: str, line: int, message: str) -> None:
        self._errors.append(Problem(path=path, line=line, message=message))

    def warn(self, path: str, line: int, message: str) -> None:
        self._warnings.setdefault(re.sub(r"\[\d+\]", "[]", path), Problem(path=path, line=line, message=message))

    def refuse(self, source: str) -> InvalidConfig:
        """Make the error that lists every problem, one a line, and the warnings: a slip in a key may be the cause."""
        errors = self.errors
        count = "1 problem" if len(errors) == 1 else f"{len(errors)} problems"
        lines = [f"  {problem}" for problem in errors[:_MAX_SHOWN]]
        if len(errors) > _MAX_SHOWN:
            lines.append(f"  and {len(errors) - _MAX_SHOWN} more")
        lines += [f"  warning: {problem}" for problem in self.warnings[:_MAX_SHOWN]]
        return InvalidConfig("\n".join([f"{source} has {count}:", *lines]))


def show(value: str) -> str:
    """Quote a value of the author's for a message, shortened."""
    return repr(value if len(value) <= _MAX_VALUE else f"{value[: _MAX_VALUE - 1]}…")
