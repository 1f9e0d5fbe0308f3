"""Mend what is certain in a config.yaml: line by line, so that comments, order and blank lines stay as they are.

The checker knows what was meant and where it stands (`Edit`, `Misplaced`); here that is written into the text. A step
that does not leave the text better is not kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from modelyard.config.load import find_problems
from modelyard.config.moves import move_key
from modelyard.config.problems import Edit, Problems
from modelyard.config.tree import Entry, Listing, Node, Scalar, Table, UnreadableError, read_tree

MAX_ROUNDS = 30
MAX_ALONE = 100
INDENT = "  "
_LEADING = re.compile(r"^[ \t\u00a0\u3000]*[\t\u00a0\u3000][ \t\u00a0\u3000]*", re.MULTILINE)
_LINE_ENDS = re.compile(r"\r\n?|\u2028|\u2029|\x85")


@dataclass(frozen=True, order=True)
class _Score:
    """How bad a text is: the less, the better."""

    is_unreadable: bool
    unknown_sections: int
    unknown_keys: int
    """Before the errors: what stands behind a key is only looked into when the key is known."""
    errors: int
    warnings: int
    slips: int
    """What other tools would read otherwise."""


def mend_config(text: str) -> str:
    """Return the text with everything mended that is certain; the same text where there is nothing.

    Line ends and indentation; misspelled keys, keys in the wrong section and keys that say the same twice; amounts,
    Python versions and model types that are written as people do; words and numbers that lack quotes.
    """
    text = _keep_better(text, _mend_line_ends)
    text = _keep_better(text, _mend_indentation)
    for _ in range(MAX_ROUNDS):
        before = text
        for step in (_drop_doubled, _apply_edits, _move_one):
            text = _keep_better(text, step)
        if text == before:
            break
    return text


def _keep_better(text: str, step: Callable[[str], str]) -> str:
    mended = step(text)
    return mended if mended != text and _rate(mended) < _rate(text) else text


def _rate(text: str) -> _Score:
    problems = find_problems(text)
    slips = len(problems.edits) + len(_LINE_ENDS.findall(text)) + len(problems.misplaced)
    counts = (
        problems.unknown_keys["top"],
        problems.unknown_keys["below"],
        len(problems.errors),
        len(problems.warnings),
        slips,
    )
    return _Score(problems.is_unreadable, *counts)


def _mend_line_ends(text: str) -> str:
    return _LINE_ENDS.sub("\n", text)


def _mend_indentation(text: str) -> str:
    """Tabs, and the wide spaces that come with text from web pages, are no indentation."""

    def widen(found: re.Match[str]) -> str:
        return found[0].replace("\t", INDENT).replace("\u00a0", " ").replace("\u3000", INDENT)

    return _LEADING.sub(widen, text)


def _apply_edits(text: str) -> str:
    """All edits at once; one by one where they do not go together."""
    edits = _drop_overlapping(find_problems(text).edits)
    together = _replace(text, edits)
    if _rate(together) < _rate(text):
        return together
    for edit in edits[:MAX_ALONE]:
        alone = _replace(text, (edit,))
        if _rate(alone) < _rate(text):
            return alone
    return text


def _drop_overlapping(edits: tuple[Edit, ...]) -> tuple[Edit, ...]:
    kept: list[Edit] = []
    for edit in edits:
        if not kept or edit.start >= kept[-1].end:
            kept.append(edit)
    return tuple(kept)


def _replace(text: str, edits: tuple[Edit, ...]) -> str:
    for edit in reversed(edits):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def _drop_doubled(text: str) -> str:
    """A key that says the same twice: the second line goes."""
    edits = tuple(edit for entry in _list_doubled(_read(text)) if (edit := _drop_line(text, entry)))
    return _replace(text, tuple(sorted(edits, key=lambda edit: edit.start)))


def _list_doubled(node: Node) -> Iterator[Entry]:
    if isinstance(node, Listing):
        for item in node.items:
            yield from _list_doubled(item)
    if isinstance(node, Table):
        yield from () if node.is_flow else node.doubled
        for entry in node.entries.values():
            yield from _list_doubled(entry.value)


def _drop_line(text: str, entry: Entry) -> Edit | None:
    """The whole line of an entry, if there is nothing else on it but a comment."""
    start = text.rfind("\n", 0, entry.key.start) + 1
    end = text.find("\n", entry.key.start)
    end = len(text) if end < 0 else end + 1
    assert isinstance(entry.value, Scalar)
    rest = text[entry.value.span.end : end].strip() if entry.value.span.end <= end else "beyond"
    is_alone = not text[start : entry.key.start].strip() and (not rest or rest.startswith("#"))
    return Edit(start=start, end=end, text="") if is_alone else None


def _move_one(text: str) -> str:
    """The first key in the wrong section that can be moved for the better."""
    root = _read(text)
    for misplaced in find_problems(text).misplaced:
        moved = move_key(text, root, misplaced) if isinstance(root, Table) else text
        if moved != text and _rate(moved) < _rate(text):
            return moved
    return text


def _read(text: str) -> Node:
    try:
        return read_tree(text, Problems())
    except UnreadableError:
        return Table(line=1, entries={})
