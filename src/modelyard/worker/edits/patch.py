"""Makes changes in running modules: first everything is prepared, which may fail, then it is done, which may not.

Functions keep their identity and get new code, classes keep theirs and get new methods: what was made of them before
(the loaded model, its pickles, its enums) stays theirs. Whoever is in a function now finishes in its old code.
"""

from __future__ import annotations

import ast
import functools
from abc import ABCMeta
from collections.abc import Callable, Iterator, Mapping
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any, cast

from modelyard.sdk.runner import ModelRunner
from modelyard.worker.edits.changes import Changes
from modelyard.worker.edits.reach import Key
from modelyard.worker.edits.units import (
    Function,
    ModuleUnits,
    Unit,
    UnitKind,
    is_literal,
    is_special,
    iter_functions,
    list_defaults,
    read_value,
)

Step = Callable[[], object]
FORGETFUL = frozenset({"contextlib", "functools", "torch"})
"""Whose decorators wrap a function and remember nothing of what it answered (`lru_cache` is another type)."""
_LruCache = type(functools.lru_cache(lambda: None))


class CannotPatch(Exception):
    """This change cannot be made in the running module; the message says which."""


class Patch:
    """Prepares changes of a folder's modules. Nothing has changed until `apply`.

    Args:
        modules: The running modules.
        old, new: What they were made of, and what they shall be.
        texts: The new sources.
        entry: The name of the module that holds the runner.
    """

    def __init__(
        self,
        modules: Mapping[str, ModuleType],
        old: Mapping[str, ModuleUnits],
        new: Mapping[str, ModuleUnits],
        texts: Mapping[str, bytes],
        entry: str,
    ) -> None:
        self._modules = modules
        self._old = old
        self._new = new
        self._entry = entry
        self._codes = {name: _compile(modules[name], texts[name]) for name in new}
        self._fresh: dict[str, dict[str, Any]] = {name: {} for name in new}
        """What each module will have beside what it has."""
        self._steps: list[Step] = []
        self.has_moved = False
        """Does any function get other code, if only with other line numbers?"""

    def prepare(self, changes: Changes) -> None:
        """Prepare everything. Raises CannotPatch, or whatever the author's new definitions raise."""
        for key in changes.changed:
            self._prepare_value(key)
        self._prepare_imports([key for key in (*changes.added, *changes.changed) if self._kind(key) is UnitKind.IMPORT])
        self._prepare_definitions(changes)
        for key in changes.added:
            self._prepare_held(key)
        for name, units in self._new.items():
            for unit, node in iter_functions(units.units.values()):
                if unit.name in self._old[name].units:
                    self._prepare_code(name, unit, node)
        for key in changes.removed:
            self._prepare_removal(key)
        for key in changes.memories:
            self._prepare_memory(key)

    def apply(self) -> None:
        """Do it: assignments only."""
        for name, values in self._fresh.items():
            self._modules[name].__dict__.update(values)
        for step in self._steps:
            step()

    def _kind(self, key: Key) -> UnitKind:
        return self._new[key[0]].units[key[1]].kind

    # Values: literals of modules and classes.

    def _prepare_value(self, key: Key) -> None:
        module, name = key
        unit = self._new[module].units[name]
        if unit.kind is not UnitKind.CONSTANT:
            return
        value, before = _evaluate(unit.node), _evaluate(self._old[module].units[name].node)
        if not unit.owner:
            self._fresh[module][name] = value
            self._follow_copies(module, name, value)
            return
        owner = self._find_class(module, unit.owner)
        place = mangle(unit)
        if place not in owner.__dict__ or owner.__dict__[place] != before or type(owner) not in (type, ABCMeta):
            raise CannotPatch(f"{name} is more than a plain value of its class")
        self._steps.append(lambda: setattr(owner, place, value))

    def _follow_copies(self, module: str, name: str, value: object) -> None:
        """`from settings import LIMIT` made a copy in the module that says so."""
        for other in self._new.values():
            for node in other.tree.body:
                if not isinstance(node, ast.ImportFrom) or other.resolve_import(node) != module:
                    continue
                for alias in node.names:
                    copied = name if alias.name == "*" else alias.asname or alias.name
                    if alias.name in (name, "*") and copied in self._modules[other.name].__dict__:
                        self._fresh[other.name][copied] = value
                        self._follow_copies(other.name, copied, value)

    # New names.

    def _prepare_imports(self, keys: list[Key]) -> None:
        """Imports of libraries run; those of the folder's own new names are made of what is prepared here."""
        for module, name in keys:
            self._steps.append(functools.partial(self._import_late, module, name))
            node = self._new[module].units[name].node
            if not self._is_prepared_later(module, node):
                self._run(module, [node])

    def _is_prepared_later(self, module: str, node: ast.stmt) -> bool:
        if not isinstance(node, ast.ImportFrom):
            return False
        target = self._new.get(self._new[module].resolve_import(node))
        name = node.names[0].name
        return target is not None and name in target.units and name not in self._modules[target.name].__dict__

    def _import_late(self, module: str, name: str) -> None:
        node = self._new[module].units[name].node
        if isinstance(node, ast.ImportFrom):
            target = self._modules.get(self._new[module].resolve_import(node))
            if target is not None and node.names[0].name in target.__dict__:
                self._modules[module].__dict__[name] = target.__dict__[node.names[0].name]

    def _prepare_definitions(self, changes: Changes) -> None:
        """New functions, classes and values of modules: their statements run as in an import, once."""
        for module in self._new:
            added = [self._new[module].units[name] for where, name in changes.added if where == module]
            nodes = [unit.node for unit in added if not unit.owner and unit.kind is not UnitKind.IMPORT]
            self._run(module, nodes)
            for value in self._fresh[module].values():
                if module == self._entry and isinstance(value, type) and issubclass(value, ModelRunner):
                    raise CannotPatch(f"{value.__name__} is another model in {self._new[module].file}")

    def _run(self, module: str, nodes: list[ast.stmt]) -> None:
        if not nodes:
            return
        flags = self._codes[module].co_flags & annotations.compiler_flag
        tree = ast.Module(body=nodes, type_ignores=[])
        code = compile(tree, self._codes[module].co_filename, "exec", flags=flags, dont_inherit=True)
        exec(code, self._modules[module].__dict__, self._fresh[module])  # noqa: S102 - the author's own module

    # Methods and values that classes get.

    def _prepare_held(self, key: Key) -> None:
        module, name = key
        unit = self._new[module].units[name]
        if not unit.owner or unit.owner in self._fresh[module]:
            return
        owner = self._find_class(module, unit.owner)
        if type(owner) not in (type, ABCMeta):
            raise CannotPatch(f"{name} is new in a class that is made in its own way")
        value = _evaluate(unit.node) if unit.kind is UnitKind.CONSTANT else self._make_method(module, unit, owner)
        self._steps.append(lambda: setattr(owner, mangle(unit), value))

    def _make_method(self, module: str, unit: Unit, owner: type) -> object:
        node = cast("Function", unit.node)
        value: Any = self._make_function(module, unit, node, owner)
        for decorator in reversed(node.decorator_list):
            code = compile(ast.Expression(decorator), self._codes[module].co_filename, "eval")
            value = eval(code, self._modules[module].__dict__, self._fresh[module])(value)  # noqa: S307 - the author's
        set_name = getattr(type(value), "__set_name__", None)
        if set_name is not None:
            set_name(value, owner, mangle(unit))
        return value

    def _make_function(self, module: str, unit: Unit, node: Function, owner: type | None) -> FunctionType:
        code = self._find_code(module, unit, node)
        if unit.head and not node.decorator_list:
            raise CannotPatch(f"{unit.name} is new and has defaults that are computed")
        if any(name != "__class__" for name in code.co_freevars) or (code.co_freevars and owner is None):
            raise CannotPatch(f"{unit.name} uses variables of a function around it")
        closure = tuple(CellType(owner) for _ in code.co_freevars)
        function = FunctionType(code, self._modules[module].__dict__, node.name, None, closure)
        function.__qualname__ = unit.name
        for step in _list_dressing(function, node, with_defaults=True):
            step()
        return function

    # Functions and methods that are there.

    def _prepare_code(self, module: str, unit: Unit, node: Function) -> None:
        before = self._old[module].units[unit.name]
        is_same = (before.shape, before.head) == (unit.shape, unit.head)
        holder = self._find_class(module, unit.owner) if unit.owner else self._modules[module]
        function = self._find_function(module, unit, holder)
        if function is None:
            if is_same:
                return
            raise CannotPatch(f"{unit.name} is not the plain function that the file says")
        code = self._find_code(module, unit, node)
        if is_same and _has_same_lines(code, function.__code__):
            return
        if code.co_freevars == function.__code__.co_freevars:
            self.has_moved = True
            self._steps.append(functools.partial(setattr, function, "__code__", code))
            self._steps += _list_dressing(function, node, with_defaults=before.shape != unit.shape)
        elif not is_same:
            self._replace_method(module, unit, node, holder)

    def _replace_method(self, module: str, unit: Unit, node: Function, holder: object) -> None:
        """`super()` came or went: such code does not fit into the function that is there."""
        if node.decorator_list or not isinstance(holder, type):
            raise CannotPatch(f"{unit.name} uses other variables around it than before")
        function = self._make_function(module, unit, node, holder)
        self.has_moved = True
        self._steps.append(lambda: setattr(holder, mangle(unit), function))

    def _find_code(self, module: str, unit: Unit, node: Function) -> CodeType:
        code: CodeType | None = self._codes[module]
        line = min([node.lineno, *(one.lineno for one in node.decorator_list)])
        if unit.owner:
            code = next(_list_codes(code, unit.owner, None), None)
        found = next(_list_codes(code, node.name, line), None)
        if found is None:
            raise CannotPatch(f"{unit.name} was not found in what its module compiles to")
        return found

    def _find_function(self, module: str, unit: Unit, holder: object) -> FunctionType | None:
        """The author's function inside of its decorators, where they can be seen through."""
        for layer in peel(vars(holder).get(mangle(unit))):
            if isinstance(layer, FunctionType):
                code = layer.__code__
                if (code.co_filename, code.co_name) == (self._codes[module].co_filename, unit.short_name):
                    return layer
        return None

    def _find_class(self, module: str, name: str) -> type:
        found = self._modules[module].__dict__.get(name)
        if not isinstance(found, type) or (found.__module__, found.__qualname__) != (module, name):
            raise CannotPatch(f"{name} is not the plain class that the file says")
        return found

    # What goes.

    def _prepare_removal(self, key: Key) -> None:
        module, name = key
        unit = self._old[module].units[name]
        if getattr(unit.node, "decorator_list", None) and unit.kind is not UnitKind.CLASS:
            self._check_layers(module, unit, "its decorator may have kept it")
        if not unit.owner:
            if name not in self._new[module].effect_names:
                self._steps.append(functools.partial(self._modules[module].__dict__.pop, name, None))
        elif unit.owner in self._new[module].units:
            owner, place = self._find_class(module, unit.owner), mangle(unit)
            if type(owner) not in (type, ABCMeta) or place not in owner.__dict__:
                raise CannotPatch(f"{name} is gone from a class that is made in its own way")
            self._steps.append(functools.partial(delattr, owner, place))

    def _prepare_memory(self, key: Key) -> None:
        """Answers that a decorator keeps were given by the old code."""
        unit = self._new[key[0]].units[key[1]]
        for layer in self._check_layers(key[0], unit, "its decorator may remember what the old code said"):
            if isinstance(layer, _LruCache):
                self._steps.append(layer.cache_clear)

    def _check_layers(self, module: str, unit: Unit, why: str) -> list[object]:
        """The decorators around a function. Raises CannotPatch where one is not known."""
        holder = self._find_class(module, unit.owner) if unit.owner else self._modules[module]
        function = self._find_function(module, unit, holder)
        layers = list(peel(vars(holder).get(mangle(unit))))
        for layer in layers:
            if layer is not function and not isinstance(layer, _LruCache) and not _forgets(layer):
                raise CannotPatch(f"{unit.name} changed or is gone, and {why}")
        return layers


def peel(value: object) -> Iterator[object]:
    """What was bound, and what is inside of it, down to the function."""
    waiting = [value]
    while waiting:
        layer = waiting.pop()
        if layer is None:
            continue
        yield layer
        if isinstance(layer, property):
            waiting += [layer.fdel, layer.fset, layer.fget]
        elif isinstance(layer, staticmethod | classmethod):
            waiting.append(layer.__func__)
        elif isinstance(layer, FunctionType | _LruCache):
            waiting.append(getattr(layer, "__wrapped__", None))


def mangle(unit: Unit) -> str:
    """The name under which a class keeps it: `__secret` becomes `_Index__secret`."""
    name = unit.short_name
    if unit.owner and name.startswith("__") and not is_special(name):
        return f"_{unit.owner.lstrip('_')}{name}"
    return name


def _forgets(layer: object) -> bool:
    if isinstance(layer, staticmethod | classmethod | property):
        return True
    if not isinstance(layer, FunctionType):
        return False
    return str(layer.__globals__.get("__name__", "")).partition(".")[0] in FORGETFUL


def _compile(module: ModuleType, text: bytes) -> CodeType:
    return compile(text, str(module.__file__), "exec", dont_inherit=True)


def _evaluate(node: ast.stmt) -> object:
    value = read_value(node)
    if value is None:
        raise CannotPatch("a value is gone")
    return ast.literal_eval(value)


def _has_same_lines(code: CodeType, other: CodeType) -> bool:
    """Equal code may stand elsewhere: what counts is where a traceback would point to."""
    return code == other and list(code.co_lines()) == list(other.co_lines())


def _list_codes(code: CodeType | None, name: str, line: int | None) -> Iterator[CodeType]:
    for one in code.co_consts if code else ():
        if isinstance(one, CodeType) and one.co_name == name and line in (None, one.co_firstlineno):
            yield one


def _list_dressing(function: FunctionType, node: Function, *, with_defaults: bool) -> Iterator[Step]:
    """What a function has beside its code. Defaults that are computed are as they were: see `Unit.head`."""
    if with_defaults and all(is_literal(one) for one in list_defaults(node)):
        named = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        named_values = {one.arg: ast.literal_eval(value) for one, value in named if value is not None}
        yield functools.partial(setattr, function, "__defaults__", tuple(map(ast.literal_eval, node.args.defaults)))
        yield functools.partial(setattr, function, "__kwdefaults__", named_values)
    yield functools.partial(setattr, function, "__doc__", ast.get_docstring(node, clean=False))
