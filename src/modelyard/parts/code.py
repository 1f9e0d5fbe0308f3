"""Which files of a folder belong to the model, and to which of its parts. Client and server use the same rules."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

from modelyard.errors import InvalidFolder
from modelyard.parts.checkpoint import MARKER
from modelyard.parts.files import FileEntry, Part
from modelyard.parts.names import MAX_DEPTH
from modelyard.parts.weights import is_weight

IGNORE_FILE = ".modelyardignore"
ALWAYS_IGNORED = (
    ".git/",
    ".hg/",
    ".svn/",
    ".env",
    ".env.*",
    ".venv/",
    "__pycache__/",
    "*.py[cod]",
    "*~",
    "*.swp",
    ".DS_Store",
    "._*",
    ".cache/",
    ".mypy_cache/",
    ".pytest_cache/",
    ".ruff_cache/",
    ".ipynb_checkpoints/",
    ".idea/",
    ".vscode/",
    "/.modelyard/",
    f"/{MARKER}",
)
"""In gitignore syntax; a line such as `!.env` in .modelyardignore takes one back in."""
DOCKERFILE = "Dockerfile"


@dataclass(frozen=True, kw_only=True)
class IgnoreRule:
    """One line in gitignore syntax."""

    text: str
    line: int
    """In .modelyardignore; 0 for one of our own list."""

    def __str__(self) -> str:
        return f"{self.text} ({IGNORE_FILE} line {self.line})" if self.line else f"{self.text} (always)"


class IgnoreRules:
    """What stays behind: our own list, and the folder's .modelyardignore (gitignore syntax) after it."""

    def __init__(self, text: str = "") -> None:
        own = [IgnoreRule(text=line, line=0) for line in ALWAYS_IGNORED]
        lines = enumerate(text.splitlines(), start=1)
        # Empty lines are left out: the library passes over them, and counts the others.
        self._rules = [*own, *(IgnoreRule(text=line, line=number) for number, line in lines if line)]
        self._spec = GitIgnoreSpec.from_lines(rule.text for rule in self._rules)

    @classmethod
    def of_folder(cls, folder: Path) -> IgnoreRules:
        """The rules of a folder."""
        try:
            return cls((folder / IGNORE_FILE).read_text(encoding="utf-8", errors="replace"))
        except OSError:
            return cls()

    def is_ignored(self, path: str, *, is_folder: bool = False) -> bool:
        """Does a file or folder stay behind? `path` is relative, with `/`."""
        return self._spec.match_file(f"{path}/" if is_folder else path)

    def find_rule(self, path: str, *, is_folder: bool = False) -> IgnoreRule | None:
        """The rule for which it stays behind; None where it does not."""
        found = self._spec.check_file(f"{path}/" if is_folder else path)
        return self._rules[found.index] if found.include and found.index is not None else None


def list_files(folder: Path) -> list[Path]:
    """The model's files, as paths relative to `folder`, sorted. A link inside the folder counts as what it leads to.

    Raises:
        InvalidFolder: Links that lead nowhere, outside or in a circle, and files that are not plain; all at once.
    """
    return walk_folder(folder)[0]


def walk_folder(folder: Path) -> tuple[list[Path], dict[str, IgnoreRule]]:
    """Like `list_files`, and what stays behind with the rule for it; a folder that does, as one, ends with `/`.

    Raises InvalidFolder as `list_files` does.
    """
    walk = _Walk(folder.resolve(), IgnoreRules.of_folder(folder))
    found = sorted(walk.list_below(""), key=lambda path: path.as_posix())
    if walk.problems:
        raise InvalidFolder("\n".join(sorted(walk.problems)), hint=f"copy the file in, or name it in {IGNORE_FILE}")
    return found, walk.ignored


def split_parts(entries: Iterable[FileEntry], rules: IgnoreRules | None = None) -> tuple[Part, Part | None]:
    """Sort an upload's files into code and weights (None where there are none).

    A Dockerfile at the top stays behind, and so does what is ignored, as published clients send it: `explain_dropped`
    has the lines for the author.
    """
    kept = [entry for entry in entries if not _is_dropped(entry.path, rules or IgnoreRules())]
    weights = [entry for entry in kept if is_weight(entry.path)]
    code = [entry for entry in kept if not is_weight(entry.path)]
    return Part(code), Part(weights) if weights else None


def explain_dropped(entries: Iterable[FileEntry], rules: IgnoreRules | None = None) -> tuple[str, ...]:
    """What `split_parts` leaves behind, one line each, for the build log."""
    paths = sorted(entry.path for entry in entries)
    lines = []
    if DOCKERFILE in paths:
        lines.append("Dockerfile is not used: the environment is made from requirements.txt and build_info")
    ignored = [path for path in paths if path != DOCKERFILE and _is_dropped(path, rules or IgnoreRules())]
    if ignored:
        more = f" and {len(ignored) - 5} more" if len(ignored) > 5 else ""
        lines.append(f"Not part of the model, left out: {', '.join(map(ascii, ignored[:5]))}{more}")
    return tuple(lines)


def _is_dropped(path: str, rules: IgnoreRules) -> bool:
    return path == DOCKERFILE or rules.is_ignored(path)


class _Walk:
    def __init__(self, top: Path, rules: IgnoreRules) -> None:
        self._top = top
        self._rules = rules
        self.problems: list[str] = []
        self.ignored: dict[str, IgnoreRule] = {}

    def list_below(self, prefix: str) -> Iterator[Path]:
        """The files below `prefix` (a path with its `/`, or nothing for the top)."""
        if prefix.count("/") > MAX_DEPTH:
            self.problems.append(f"{prefix}: folders are deeper than {MAX_DEPTH}")
            return
        for name in sorted(os.listdir(self._top / prefix)):  # noqa: PTH208 - names are enough
            yield from self._look_at(prefix + name)

    def _look_at(self, path: str) -> Iterator[Path]:
        place = self._top / path
        try:
            mode = place.stat().st_mode
        except OSError:
            if not self._rules.is_ignored(path):
                self.problems.append(f"{path}: the link leads nowhere")
            return
        is_folder = stat.S_ISDIR(mode)
        if rule := self._rules.find_rule(path, is_folder=is_folder):
            self.ignored[f"{path}/" if is_folder else path] = rule
            return
        if place.is_symlink() and not place.resolve().is_relative_to(self._top):
            self.problems.append(f"{path}: the link leads outside of the model folder")
        elif place.is_symlink() and place.parent.resolve().is_relative_to(place.resolve()):
            self.problems.append(f"{path}: the link leads in a circle")
        elif is_folder:
            yield from self.list_below(path + "/")
        elif stat.S_ISREG(mode):
            yield Path(path)
        else:
            self.problems.append(f"{path}: it is neither a file nor a folder")
