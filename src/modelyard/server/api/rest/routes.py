"""Which method a verb and a path name: a tree of path segments, built from the descriptor.

A literal segment beats a variable one; where the literal leads nowhere, the variable is tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from modelyard.errors import InternalError
from modelyard.wire.methods import Binding, Method


@dataclass(frozen=True, kw_only=True)
class Route:
    """A verb and a template of one method."""

    method: Method
    binding: Binding
    variables: tuple[str, ...]
    """Dotted field names, in the order of the template's variable segments."""


@dataclass(frozen=True, kw_only=True)
class Match:
    """A route, and what the path says for its variables."""

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
        for method in sorted(methods, key=lambda one: one.name not in preferred):
            for binding in method.bindings:
                self._add(method, binding)

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
