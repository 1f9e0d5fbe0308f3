"""One mapping of config.yaml, read key by key: each reader reports what is wrong and goes on with "not given"."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping

from modelyard.config.problems import Problems, show
from modelyard.config.tree import Broken, Listing, Node, Scalar, Table

Check = Callable[[str], str]
"""Given a value, says what is wrong with it (`is not ...; use ...`), or ""."""


class Section:
    """Readers over one table. `path` is what the author would call it: `model`, `concepts[3]`."""

    def __init__(self, table: Table, path: str, problems: Problems) -> None:
        self._table = table
        self._path = path
        self._problems = problems

    @property
    def line(self) -> int:
        return self._table.line

    def path_of(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key

    def line_of(self, key: str) -> int:
        """The line of the key's value; the section's own where the key is missing."""
        entry = self._table.entries.get(key)
        return self.line if entry is None else entry.line

    def has(self, key: str) -> bool:
        """Whether the key is there with a value, be it right or wrong; an empty list is none."""
        entry = self._table.entries.get(key)
        match entry and entry.value:
            case None | Listing(items=()) | Scalar(is_null=True):
                return False
            case _:
                return True

    def text(self, key: str, check: Check | None = None) -> str:
        """Return the value as typed, or "" where it is not given or wrong."""
        if not self.has(key):
            return ""
        return self._read_text(self._table.entries[key].value, self.path_of(key), check)

    def required_text(self, key: str, check: Check | None = None, *, advice: str) -> str:
        """Like `text`, and its absence is a problem; `advice` says what to write."""
        node = self._table.entries[key].value if self.has(key) else None
        if node is None or (isinstance(node, Scalar) and node.is_blank):
            self._problems.add(self.path_of(key), self.line_of(key), f"is missing; {advice}")
            return ""
        return self.text(key, check)

    def label(self, key: str, *, advice: str) -> str:
        """Like `required_text`, but any word counts as text, also `null` and `no`."""
        entry = self._table.entries.get(key)
        if entry is not None and isinstance(entry.value, Scalar) and not entry.value.is_blank:
            return entry.value.text
        return self.required_text(key, advice=advice)

    def whole_number(self, key: str, *, low: int, high: int) -> int:
        """Return a number from low to high, or 0 where it is not given or wrong."""

        def check(text: str) -> str:
            is_number = text.isascii() and text.isdigit() and len(text) < 20
            return "" if is_number and low <= int(text) <= high else f"is not a whole number from {low} to {high}"

        text = self.text(key, check)
        return int(text) if text else 0

    def texts(self, key: str, check: Check | None = None) -> tuple[str, ...]:
        """Return a list of texts; one alone is taken as a list of one, with a warning."""
        if not self.has(key):
            return ()
        node, path = self._table.entries[key].value, self.path_of(key)
        if isinstance(node, Listing):
            items = [self._read_text(item, f"{path}[{index}]", check) for index, item in enumerate(node.items)]
            return tuple(item for item in items if item)
        text = self._read_text(node, path, check, kind="a list")
        if not text:
            return ()
        self._problems.warn(path, node.line, f"{show(text)} is read as a list of one; write [{text!r}]")
        return (text,)

    def section(self, key: str) -> Section | None:
        """Return the section below the key, or None where it is not given or not a section."""
        if not self.has(key):
            return None
        node = self._table.entries[key].value
        if isinstance(node, Table):
            return Section(node, self.path_of(key), self._problems)
        self._refuse_kind(node, self.path_of(key), "a section; write its keys below it, indented")
        return None

    def sections(self, key: str, advice: str) -> Iterator[Section]:
        """Return the sections of a list of them, leaving out what is none."""
        if not self.has(key):
            return
        node = self._table.entries[key].value
        if not isinstance(node, Listing):
            self._refuse_kind(node, self.path_of(key), f"a list; {advice}")
            return
        for index, item in enumerate(node.items):
            path = f"{self.path_of(key)}[{index}]"
            if isinstance(item, Table):
                yield Section(item, path, self._problems)
            else:
                self._refuse_kind(item, path, f"an entry; {advice}")

    def add(self, key: str, message: str) -> None:
        """Report a problem with the key."""
        self._problems.add(self.path_of(key), self.line_of(key), message)

    def warn(self, key: str, message: str) -> None:
        """Report something about the key that the author may not have meant."""
        self._problems.warn(self.path_of(key), self.line_of(key), message)

    def warn_unread(self, known: Collection[str], idle: Mapping[str, str], elsewhere: Mapping[str, str]) -> None:
        """Warn of every key that is not read.

        Args:
            known: Keys that are read here.
            idle: Published keys without effect in this release -> what to do instead.
            elsewhere: Keys that belong somewhere else -> where.
        """
        for key in self._table.entries:
            if key in known:
                continue
            if key in idle:
                self.warn(key, f"has no effect in this release; {idle[key]}")
            else:
                self.warn(key, f"is not a key that is known here{_suggest(key, [*known, *idle], elsewhere)}")

    def _read_text(self, node: Node, path: str, check: Check | None, kind: str = "text") -> str:
        if not isinstance(node, Scalar):
            self._refuse_kind(node, path, f"{kind}; write one value")
            return ""
        complaint = check(node.text) if check else ""
        if complaint:
            self._problems.add(path, node.line, f"{show(node.text)} {complaint}")
        return "" if complaint else node.text

    def _refuse_kind(self, node: Node, path: str, wanted: str) -> None:
        if isinstance(node, Broken):
            return
        given = show(node.text) if isinstance(node, Scalar) else "a list" if isinstance(node, Listing) else "a section"
        self._problems.add(path, node.line, f"{given} is not {wanted}")


def _suggest(key: str, known: list[str], elsewhere: Mapping[str, str]) -> str:
    close = difflib.get_close_matches(key[:64], known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; it belongs under {elsewhere[key]!r}" if key in elsewhere else " and is passed over"
