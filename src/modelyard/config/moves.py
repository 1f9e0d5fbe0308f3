"""Move a key of config.yaml from the section that it stands in to the one that it belongs to, as lines of text."""

from __future__ import annotations

import re

from modelyard.config.problems import Misplaced
from modelyard.config.tree import Entry, Listing, Table

TOP = "the top level"
INDENT = "  "


def move_key(text: str, root: Table, misplaced: Misplaced) -> str:
    """Return the text with the key in its home; the same text where lines do not suffice, as between braces.

    Args:
        text: The file.
        root: What it says.
        misplaced: Which key, out of a section at the top or out of the top itself.
    """
    source = _find_section(root, misplaced.path)
    entry = source.entries.get(misplaced.name) if source else None
    home = root if misplaced.home == TOP else _find_section(root, misplaced.home)
    if source is None or entry is None or source.is_flow or _is_taken(root, home, misplaced):
        return text
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    first, last = _find_lines(lines, entry)
    if lines[first][: _column_of(lines, entry)].strip():
        return text
    moved = lines[first:last]
    if not moved[-1].endswith("\n"):
        moved[-1] += "\n"
    target, column, head = _find_place(lines, root, home, misplaced.home)
    moved = head + [_indent(line, column - _column_of(lines, entry)) for line in moved]
    if target >= last:
        _end_line(lines)
        return "".join([*lines[:first], *lines[last:target], *moved, *lines[target:]])
    return "".join([*lines[:target], *moved, *lines[target:first], *lines[last:]])


def _find_section(root: Table, path: str) -> Table | None:
    if not path:
        return root
    entry = root.entries.get(path)
    return entry.value if entry and isinstance(entry.value, Table) else None


def _is_taken(root: Table, home: Table | None, misplaced: Misplaced) -> bool:
    """Whether the home has such a key, is written in braces, or is something else than a section."""
    if home is None:
        return misplaced.home in root.entries
    return home.is_flow or misplaced.name in home.entries


def _find_place(lines: list[str], root: Table, home: Table | None, name: str) -> tuple[int, int, list[str]]:
    """Before which line the key goes, in which column, and what has to stand above it."""
    if home is not None and home is not root and home.entries:
        last = list(home.entries.values())[-1]
        return _find_lines(lines, last)[1], _column_of(lines, last), []
    if home is root:
        return len(lines), 0, []
    return len(lines), len(INDENT), ["\n" if lines and lines[-1].strip() else "", f"{name}:\n"]


def _find_lines(lines: list[str], entry: Entry) -> tuple[int, int]:
    """The lines of an entry, from its key to before what follows; blank lines and comments at its end are not its."""
    first = entry.line - 1
    column = _column_of(lines, entry)
    last = first + 1
    for number in range(first + 1, len(lines)):
        stripped = lines[number].strip()
        if not stripped or stripped.startswith("#"):
            continue
        indent = len(lines[number]) - len(lines[number].lstrip())
        is_item = isinstance(entry.value, Listing) and indent == column and stripped.startswith("-")
        if indent <= column and not is_item:
            break
        last = number + 1
    return first, last


def _column_of(lines: list[str], entry: Entry) -> int:
    start = sum(len(line) for line in lines[: entry.line - 1])
    return entry.key.start - start


def _indent(line: str, by: int) -> str:
    if not line.strip():
        return line
    return " " * by + line if by >= 0 else line[min(-by, len(line) - len(line.lstrip())) :]


def _end_line(lines: list[str]) -> None:
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
