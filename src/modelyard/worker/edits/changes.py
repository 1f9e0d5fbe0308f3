"""What has changed between two states of an author's modules, and whether what is loaded may stay. Pure: sources only.

What is loaded stays where nothing that loading reaches has changed, and where every change is one that can be made in
the running modules: bodies of functions, literals, new definitions, imports. All else asks for a new start.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from modelyard.worker.edits.reach import Key, reach_of, reach_of_loading
from modelyard.worker.edits.units import ModuleUnits, UnitKind, iter_functions

Modules = Mapping[str, ModuleUnits]


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What is different."""

    changed: tuple[Key, ...] = ()
    """In both, and not the same."""
    added: tuple[Key, ...] = ()
    removed: tuple[Key, ...] = ()
    memories: tuple[Key, ...] = ()
    """Decorated functions that may remember what the old code said: they, or what they use, have changed."""
    reason: str = ""
    """Why what is loaded may not stay, for the author; empty: it may."""

    @property
    def names(self) -> tuple[str, ...]:
        """The definitions that are different, for the author."""
        return tuple(dict.fromkeys(name for _, name in (*self.changed, *self.added, *self.removed)))


def find_changes(old: Modules, new: Modules, runners: Iterable[Key]) -> Changes:
    """Compare.

    Args:
        old: The folder's imported modules as they were made.
        new: The same modules as their files are now; one whose file is gone is left out.
        runners: The runner's class, and the classes of the folder that it inherits from.
    """
    changed = tuple(_list_changed(old, new))
    added = tuple(key for key in _list_keys(new) if not _has(old, key))
    removed = tuple(key for key in _list_keys(old) if not _has(new, key))
    reason = _find_reason(old, new, runners, is_same=not (changed or added or removed))
    memories = () if reason else tuple(_list_memories(old, new))
    return Changes(changed=changed, added=added, removed=removed, memories=memories, reason=reason)


def _list_keys(modules: Modules) -> list[Key]:
    return [(module.name, name) for module in modules.values() for name in module.units]


def _has(modules: Modules, key: Key) -> bool:
    return key[0] in modules and key[1] in modules[key[0]].units


def _list_changed(old: Modules, new: Modules) -> Iterator[Key]:
    for key in _list_keys(new):
        if _has(old, key):
            before, after = old[key[0]].units[key[1]], new[key[0]].units[key[1]]
            if (before.kind, before.shape, before.head) != (after.kind, after.shape, after.head):
                yield key


def _find_reason(old: Modules, new: Modules, runners: Iterable[Key], *, is_same: bool) -> str:
    for name in old:
        if name not in new:
            return f"{old[name].file} is gone"
    for name in new:
        if reason := _compare_statements(old[name], new[name]):
            return reason
    if is_same:
        return ""
    return next(_list_deep_changes(old, new), "") or _compare_reach(old, new, list(runners))


def _compare_statements(old: ModuleUnits, new: ModuleUnits) -> str:
    """Statements run at import alone: another number, order or content of them is not caught up with."""
    if old.effect_shapes != new.effect_shapes:
        return f"{_place_difference(old, new)}: a statement that runs at import changed"
    common = [name for name in old.units if name in new.units]
    if common != [name for name in new.units if name in old.units]:
        return f"{new.file}: definitions changed places"
    return ""


def _place_difference(old: ModuleUnits, new: ModuleUnits) -> str:
    for shape, statement in zip(old.effect_shapes, new.effects, strict=False):
        if shape != ast.dump(statement):
            return f"{new.file} line {statement.lineno}"
    if len(new.effects) > len(old.effects):
        return f"{new.file} line {new.effects[len(old.effects)].lineno}"
    return new.file


def _compare_reach(old: Modules, new: Modules, runners: list[Key]) -> str:
    reach = reach_of_loading(old, runners)
    key = reach.find_difference(new)
    if key is not None:
        return f"loading uses {_describe(old, new, key)}"
    if reach.unseen:
        return f"what loading uses cannot be told: {reach.unseen}"
    return ""


def _describe(old: Modules, new: Modules, key: Key) -> str:
    module, name = key
    if not module:
        return f"what is called {name}, of which there is another now"
    file = (new.get(module) or old[module]).file
    if "*" in name:
        return f"{name.rpartition('.')[0]}, whose special methods came or went in {file}"
    if not _has(new, key):
        return f"{name}, which is gone from {file}"
    return f"{name}, which is new in {file}" if not _has(old, key) else f"{name}, which changed in {file}"


def _list_deep_changes(old: Modules, new: Modules) -> Iterator[str]:
    """Changes that cannot be made in a running module, whoever uses what changed."""
    for module, name in _list_changed(old, new):
        before, after = old[module].units[name], new[module].units[name]
        if before.kind is not after.kind:
            yield f"{name} in {new[module].file} is of another kind now"
        if before.kind is UnitKind.CLASS:
            yield f"class {name} in {new[module].file} changed its bases, decorators or fields"
        if after.kind is UnitKind.IMPORT and (user := _find_importer(new, module, name)):
            yield f"{name} of {new[module].file} is another import now, and {user} imports it"
        if before.head != after.head:
            yield f"{name} in {new[module].file} changed its decorators, or defaults that are computed"
    for module, name in _list_keys(old):
        if _has(new, (module, name)):
            continue
        if user := _find_importer(new, module, name):
            yield f"{name} is gone from {new[module].file}, and {user} imports it"


def _find_importer(modules: Modules, target: str, name: str) -> str:
    for module in modules.values():
        for node in ast.walk(module.tree):
            if (
                isinstance(node, ast.ImportFrom)
                and module.resolve_import(node) == target
                and any(alias.name == name for alias in node.names)
            ):
                return f"{module.file} line {node.lineno}"
    return ""


def _list_memories(old: Modules, new: Modules) -> Iterator[Key]:
    for module in new.values():
        for unit, node in iter_functions(module.units.values()):
            key = (module.name, unit.name)
            if not node.decorator_list or not _has(old, key):
                continue
            if reach_of(old, key).find_difference(new) is not None:
                yield key
