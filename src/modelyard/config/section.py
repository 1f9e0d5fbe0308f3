"""One mapping of config.yaml, read key by key as `keys.py` declares it.

Each reader reports what is wrong and goes on with "not given".
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping

from modelyard.config.key import Key, Kind
from modelyard.config.problems import Edit, Problems, show
from modelyard.config.tree import Broken, Entry, Listing, Node, Scalar, Span, Table

CERTAIN = 0.8
"""How alike a misspelled key and the key that was meant have to be, so that it may be mended unasked."""
# What tools read as something else than text, by YAML 1.1 or 1.2.
_NOT_TEXT = re.compile(
    r"[-+]?(0[xob])?[0-9][0-9_,:]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|[-+]?\.[0-9]+([eE][-+]?[0-9]+)?|[-+]?\.(inf|nan)"
    r"|y|n|yes|no|on|off|true|false|null|~|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*",
    re.IGNORECASE,
)


class Section:
    """Readers over one table. `path` is what the author would call it: `model`, `concepts[3]`.

    Keys that are not declared, and those without effect, are warned about when it is opened.
    """

    def __init__(
        self, table: Table, keys: Mapping[str, Key], path: str, problems: Problems, homes: Mapping[str, str]
    ) -> None:
        self._table = table
        self._keys = keys
        self._path = path
        self._problems = problems
        self._homes = homes
        self._warn_unread()

    @property
    def line(self) -> int:
        return self._table.line

    def path_of(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def line_of(self, name: str) -> int:
        """The line of the key's value; the section's own where the key is missing."""
        entry = self._table.entries.get(name)
        return self.line if entry is None else entry.line

    def has(self, name: str) -> bool:
        """Whether the key is there with a value, be it right or wrong; an empty list is none, and so is empty text."""
        entry = self._table.entries.get(name)
        match entry and entry.value:
            case None | Listing(items=()) | Scalar(is_null=True) | Scalar(is_blank=True):
                return False
            case _:
                return True

    def text(self, name: str) -> str:
        """Return the value as typed, or "" where it is not given or wrong."""
        key, entry = self._keys[name], self._table.entries.get(name)
        is_word = key.rule.takes_any_word and entry and isinstance(entry.value, Scalar) and not entry.value.is_blank
        if entry and (is_word or self.has(name)):
            return self._read_text(entry.value, self.path_of(name), key)
        self._miss(name)
        return ""

    def whole_number(self, name: str) -> int:
        """Return a number within the key's limits, or 0 where it is not given or wrong."""
        key, text = self._keys[name], self.text(name)
        if not text:
            return 0
        is_number = text.isascii() and text.isdigit() and len(text) < 20
        if is_number and key.low <= int(text) <= key.high:
            return int(text)
        self.add(name, f"{show(text)} is not a whole number from {key.low} to {key.high}")
        return 0

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts; one alone is taken as a list of one, with a warning."""
        if not self.has(name):
            return ()
        key, node, path = self._keys[name], self._table.entries[name].value, self.path_of(name)
        if isinstance(node, Listing):
            items = [self._read_text(item, f"{path}[{index}]", key) for index, item in enumerate(node.items)]
            return tuple(item for item in items if item)
        text = self._read_text(node, path, key, kind="a list")
        if not text or not isinstance(node, Scalar):
            return ()
        edit = _replace(node.span, f"[{_quote(text)}]")
        self._problems.warn(path, node.line, f"{show(text)} is read as a list of one; write [{text!r}]", edit)
        return (text,)

    def section(self, name: str) -> Section | None:
        """Return the section below the key, or None where it is not given or not a section."""
        if not self.has(name):
            self._miss(name)
            return None
        node = self._table.entries[name].value
        if isinstance(node, Table):
            return Section(node, self._keys[name].keys, self.path_of(name), self._problems, self._homes)
        self._refuse_kind(node, self.path_of(name), "a section; write its keys below it, indented")
        return None

    def sections(self, name: str) -> Iterator[Section]:
        """Return the sections of a list of them, leaving out what is none."""
        if not self.has(name):
            return
        key, node = self._keys[name], self._table.entries[name].value
        if not isinstance(node, Listing):
            self._refuse_kind(node, self.path_of(name), f"a list; {key.advice}")
            return
        for index, item in enumerate(node.items):
            path = f"{self.path_of(name)}[{index}]"
            if isinstance(item, Table):
                yield Section(item, key.keys, path, self._problems, {})
            else:
                self._refuse_kind(item, path, f"an entry; {key.advice}")

    def add(self, name: str, message: str) -> None:
        """Report a problem with the key."""
        self._problems.add(self.path_of(name), self.line_of(name), message)

    def warn(self, name: str, message: str, *, better: str = "") -> None:
        """Report something about the key that the author may not have meant; `better` is a value that is certain."""
        node = self._table.entries[name].value if better else None
        edit = _replace(node.span, _quote(better)) if isinstance(node, Scalar) else None
        self._problems.warn(self.path_of(name), self.line_of(name), message, edit)

    def note(self, name: str, message: str) -> None:
        """Say how the key was understood."""
        self._problems.note(self.path_of(name), self.line_of(name), message)

    def _miss(self, name: str) -> None:
        if self._keys[name].is_required:
            self.add(name, f"is missing; {self._keys[name].advice}")

    def _warn_unread(self) -> None:
        for name, entry in self._table.entries.items():
            key = self._keys.get(name)
            if key is None:
                self._warn_unknown(name, entry)
            elif key.idle and self.has(name):
                self.warn(name, f"has no effect in this release; {key.idle}")
                if key.kind is Kind.TEXT:
                    self.text(name)

    def _warn_unknown(self, name: str, entry: Entry) -> None:
        """A slip of the pen is named, and mended where only one key can be meant and that one is not there."""
        self._problems.unknown_keys["below" if self._path else "top"] += 1
        close = difflib.get_close_matches(_plain(name), self._keys, n=2)
        edit = None
        if close:
            told = f"; did you mean {close[0]!r}?"
            is_alone = len(close) == 1 or _alike(name, close[1]) < CERTAIN
            if is_alone and close[0] not in self._table.entries and _alike(name, close[0]) >= CERTAIN:
                edit = _replace(entry.key, close[0])
        elif name in self._homes:
            told = f"; it belongs under {self._homes[name]!r}"
            self._problems.misplace(name, self._path, self._homes[name])
        else:
            told = " and is passed over"
        self._problems.warn(self.path_of(name), entry.line, f"is not a key that is known here{told}", edit)

    def _read_text(self, node: Node, path: str, key: Key, kind: str = "text") -> str:
        if not isinstance(node, Scalar):
            self._refuse_kind(node, path, f"{kind}; write one value")
            return ""
        complaint = key.rule.complain(node.text)
        if complaint:
            meant = key.rule.mend(node.text) or _unwrap(node.text, key)
            edit = _replace(node.span, _quote(meant)) if meant else None
            self._problems.add(path, node.line, f"{show(node.text)} {complaint}", edit)
            return ""
        if node.is_plain and key.kind is not Kind.NUMBER and not key.is_secret and _NOT_TEXT.fullmatch(node.text):
            quoted = _quote(node.text)
            message = f"{node.text} without quotes is no text for other tools; write {quoted}"
            self._problems.note(path, node.line, message, _replace(node.span, quoted))
        return node.text

    def _refuse_kind(self, node: Node, path: str, wanted: str) -> None:
        if isinstance(node, Broken):
            return
        given = show(node.text) if isinstance(node, Scalar) else "a list" if isinstance(node, Listing) else "a section"
        self._problems.add(path, node.line, f"{given} is not {wanted}")


def _unwrap(text: str, key: Key) -> str:
    """Without the quotes that word processors write, and spaces; "" where that is not it."""
    bare = text.strip().strip("\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb").strip()
    return bare if bare and not key.rule.complain(bare) else ""


def _plain(name: str) -> str:
    return name[:64].lower().replace("-", "_")


def _alike(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, _plain(one), other).ratio()


def _replace(span: Span, text: str) -> Edit:
    return Edit(start=span.start, end=span.end, text=text)


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
