"""Which method a verb and a path name: a tree of path segments, built from the descriptor.

A literal segment beats a variable one; where the literal leads nowhere, the variable is tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from modelyard.errors import InternalError, InvalidRequest
from modelyard.server.api.doorway.types import Scope
from modelyard.wire.methods import Binding, Method

REMEMBERED = 4096
REMEMBERED_BYTES = 512
"""Callers ask for the same few paths again and again; longer ones are looked up each time."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """A verb and a template of one method."""

    method: Method
    binding: Binding
    variables: tuple[str, ...]
    """Dotted field names, in the order of the template's variable segments."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Match:
    """A route, and what the path says for its variables. One object stands for a path that comes again."""

    route: Route
    values: tuple[str, ...]


@dataclass
class _Node:
    literals: dict[str, _Node] = field(default_factory=dict)
    variable: _Node | None = None
    routes: dict[str, Route] = field(default_factory=dict)


class Routes:
    """All REST routes.

    Args:
        methods: All methods of the contract; where two share a verb and a template, the first that is preferred wins.
        preferred: Names of methods that have a handler.
    """

    def __init__(self, methods: Iterable[Method], preferred: frozenset[str]) -> None:
        self._root = _Node()
        self._found: dict[tuple[str, bytes], Match] = {}
        for method in sorted(methods, key=lambda one: one.name not in preferred):
            for binding in method.bindings:
                self._add(method, binding)

    def find(self, verb: str, scope: Scope) -> Match | None:
        """As `match`, for a request; raises `InvalidRequest` where its path is no text."""
        key = verb, scope.get("raw_path") or b""
        match = self._found.get(key)
        if match is not None:
            return match
        match = self.match(verb, split_path(scope))
        if match is not None and 0 < len(key[1]) <= REMEMBERED_BYTES:
            if len(self._found) >= REMEMBERED:
                self._found.clear()
            self._found[key] = match
        return match

    def match(self, verb: str, segments: list[str]) -> Match | None:
        """The route of the verb whose template the path's segments fit."""
        for node, values in _walk(self._root, segments, 0, ()):
            route = node.routes.get(verb)
            if route is not None:
                return Match(route=route, values=values)
        return None

    def verbs(self, segments: list[str]) -> list[str]:
        """The verbs that the path answers to; empty where there is no such path."""
        return sorted({verb for node, _ in _walk(self._root, segments, 0, ()) for verb in node.routes})

    def _add(self, method: Method, binding: Binding) -> None:
        node = self._root
        variables = []
        for segment in binding.template.strip("/").split("/"):
            if segment.startswith("{") and segment.endswith("}"):
                if not segment[1:-1].replace(".", "").replace("_", "").isalnum():
                    raise InternalError(f"{method.name}: the path template {binding.template} is not understood")
                variables.append(segment[1:-1])
                node.variable = node.variable or _Node()
                node = node.variable
            else:
                node = node.literals.setdefault(segment, _Node())
        route = Route(method=method, binding=binding, variables=tuple(variables))
        node.routes.setdefault(binding.verb, route)


def split_path(scope: Scope) -> list[str]:
    """The path's segments, decoded one by one: an encoded slash stays inside its segment."""
    raw = scope.get("raw_path")
    path = raw.partition(b"?")[0].decode("latin-1") if raw else scope["path"]
    try:
        return [unquote(segment, errors="strict") for segment in path.removeprefix("/").split("/")]
    except UnicodeDecodeError:
        raise InvalidRequest("the path is not UTF-8") from None


def _walk(
    node: _Node, segments: list[str], depth: int, values: tuple[str, ...]
) -> Iterator[tuple[_Node, tuple[str, ...]]]:
    """The nodes that the segments lead to, literal ones first."""
    if depth == len(segments):
        yield node, values
        return
    segment = segments[depth]
    literal = node.literals.get(segment)
    if literal is not None:
        yield from _walk(literal, segments, depth + 1, values)
    if node.variable is not None and segment:
        yield from _walk(node.variable, segments, depth + 1, (*values, segment))
