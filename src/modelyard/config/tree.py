"""YAML text -> a small tree that keeps each value as the author typed it, with its line and place.

Uploads come from anyone, so the text is read event by event under limits: nothing is expanded (no anchors, aliases
or tags), nothing is converted (`no` stays `no`, `3.10` stays `3.10`), and depth and size are bounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

import yaml

from modelyard.config.problems import Problems, show

MAX_CONFIG_BYTES = 256 * 1024
MAX_DEPTH = 20
_MAX_NAME = 64
_CORE_TAGS = "tag:yaml.org,2002:"
_PLAIN_TYPES = ("str", "int", "float", "bool", "null", "seq", "map")
_NULLS = ("", "~", "null", "Null", "NULL")
_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, kw_only=True)
class Span:
    """A piece of the text, from its first character to behind its last."""

    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Scalar:
    """One value, as typed; `is_plain` when it stands without quotes."""

    line: int
    text: str
    is_plain: bool
    span: Span

    @property
    def is_null(self) -> bool:
        return self.is_plain and self.text in _NULLS

    @property
    def is_blank(self) -> bool:
        """Nothing that could be a name; the word `null` could be one."""
        return not self.text.strip() or (self.is_plain and self.text == "~")


@dataclass(frozen=True, kw_only=True)
class Listing:
    """A sequence."""

    line: int
    span: Span
    """In brackets: all of it. Otherwise it has no end that can be told."""
    items: tuple[Node, ...]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One `key: value` of a table; `line` is the key's."""

    line: int
    key: Span
    value: Node


@dataclass(frozen=True, kw_only=True)
class Table:
    """A mapping."""

    line: int
    entries: dict[str, Entry]
    is_flow: bool = False
    """Written in braces."""
    doubled: tuple[Entry, ...] = ()
    """Keys that stand here already, and say the same again."""


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A value that has been reported already; readers pass over it."""

    line: int


Node = Scalar | Listing | Table | Broken


class UnreadableError(Exception):
    """The text is not YAML that can be read on; the problem has been reported."""


def read_tree(text: str, problems: Problems) -> Node:
    """Read one YAML document; an empty one is an empty table.

    Raises:
        UnreadableError: It is too large or too deep, or not YAML; `problems` says where and why.
    """
    _check_text(text, problems)
    body = text.removeprefix("\ufeff")
    try:
        return _Builder(yaml.parse(body, Loader=_LOADER), problems, len(text) - len(body)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        _give_up(problems, mark.line + 1 if mark else 1, f"this is not YAML: {error.problem or error.context}")
    except yaml.reader.ReaderError as error:
        character = chr(error.character) if isinstance(error.character, int) else error.character
        line = text.count("\n", 0, max(text.find(character), 0)) + 1
        _give_up(problems, line, f"the character {character!r} is not allowed in YAML; remove it")


def _check_text(text: str, problems: Problems) -> None:
    try:
        size_bytes = len(text.encode())
    except UnicodeEncodeError as error:
        _give_up(problems, text.count("\n", 0, error.start) + 1, "this is not UTF-8; save the file as UTF-8")
    if size_bytes > MAX_CONFIG_BYTES:
        _give_up(problems, 1, f"the file is larger than {MAX_CONFIG_BYTES // 1024} KiB; keep data in files of its own")


def _give_up(problems: Problems, line: int, message: str) -> NoReturn:
    problems.add("", line, message)
    raise UnreadableError


class _Builder:
    """Turns the events of one document into nodes."""

    def __init__(self, events: Iterator[yaml.Event], problems: Problems, offset: int) -> None:
        self._events = events
        self._problems = problems
        self._offset = offset
        self._end = 0
        """Of the list that was read last."""

    def document(self) -> Node:
        root: Node = Table(line=1, entries={})
        seen = 0
        for event in self._events:
            if isinstance(event, yaml.NodeEvent):
                if seen:
                    _give_up(self._problems, _line(event), "a second document starts here; config.yaml is one document")
                root, seen = self._node(event, "", 0), 1
        return Table(line=1, entries={}) if isinstance(root, Scalar) and root.is_null else root

    def _node(self, event: yaml.Event, path: str, depth: int) -> Node:
        line = _line(event)
        if depth > MAX_DEPTH:
            _give_up(self._problems, line, f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, yaml.AliasEvent):
            self._problems.add(path, line, f"'*{event.anchor}' is an alias; write the value out")
            return Broken(line=line)
        is_allowed = self._check_marks(event, path)
        node = self._content(event, path, depth)
        return node if is_allowed else Broken(line=line)

    def _content(self, event: yaml.Event, path: str, depth: int) -> Node:
        line = _line(event)
        if isinstance(event, yaml.SequenceStartEvent):
            items = tuple(self._items(path, depth))
            span = Span(start=self._span(event).start, end=self._end if event.flow_style else self._span(event).start)
            return Listing(line=line, items=items, span=span)
        if isinstance(event, yaml.MappingStartEvent):
            return self._table(event, path, depth)
        assert isinstance(event, yaml.ScalarEvent)
        return Scalar(line=line, text=event.value, is_plain=bool(event.implicit[0]), span=self._span(event))

    def _items(self, path: str, depth: int) -> Iterator[Node]:
        for index, event in enumerate(self._events):
            if isinstance(event, yaml.SequenceEndEvent):
                self._end = self._span(event).end
                return
            yield self._node(event, f"{path}[{index}]", depth + 1)

    def _table(self, start: yaml.MappingStartEvent, path: str, depth: int) -> Table:
        entries: dict[str, Entry] = {}
        doubled: list[Entry] = []
        for event in self._events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._node(event, path, depth + 1)
            name = key.text if isinstance(key, Scalar) else "?"
            inner = f"{path}.{name[:_MAX_NAME]}" if path else name[:_MAX_NAME]
            entry = Entry(line=key.line, key=self._span(event), value=self._node(next(self._events), inner, depth + 1))
            if isinstance(key, Listing | Table):
                self._problems.add(path, key.line, "a key has to be a word; quote it if it is one")
            elif name in entries:
                first = entries[name]
                self._problems.add(
                    inner, key.line, f"{show(name)} is given twice, first on line {first.line}; keep one"
                )
                doubled += [entry] if _says_the_same(entry, first) else []
            else:
                entries[name] = entry
        return Table(line=_line(start), entries=entries, is_flow=bool(start.flow_style), doubled=tuple(doubled))

    def _span(self, event: yaml.Event) -> Span:
        assert event.start_mark is not None
        assert event.end_mark is not None
        return Span(start=event.start_mark.index + self._offset, end=event.end_mark.index + self._offset)

    def _check_marks(self, event: yaml.Event, path: str) -> bool:
        """Refuse anchors, which only aliases need, and tags beyond the plain types."""
        assert isinstance(event, yaml.CollectionStartEvent | yaml.ScalarEvent)
        if event.anchor is not None:
            self._problems.add(path, _line(event), f"'&{event.anchor}' is an anchor; anchors are not allowed here")
        tag: str | None = event.tag
        is_core = tag is None or tag == "!" or tag.removeprefix(_CORE_TAGS) in _PLAIN_TYPES
        if not is_core:
            shown = str(tag).replace(_CORE_TAGS, "!!")
            self._problems.add(path, _line(event), f"the tag {show(shown)} is not allowed; write plain text")
        return is_core


def _says_the_same(one: Entry, other: Entry) -> bool:
    match one.value, other.value:
        case Scalar(text=mine), Scalar(text=theirs):
            return mine == theirs
        case _:
            return False


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1
