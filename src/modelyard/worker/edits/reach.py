"""What loading a model reaches: every definition that importing its modules and `load_model` may use, found by names.

The rule is coarse, so that it errs to one side only. A name is looked up in its module. An attribute `x.score` reaches
whatever is called `score` in any class or module of the folder. A class that is named brings its special methods, and
all of its methods where a base is not the author's, because that base may call them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from modelyard.worker.edits.units import Function, ModuleUnits, Unit, UnitKind, is_special, list_defaults, names_only

Key = tuple[str, str]
"""A module's name and a unit's."""
RUNNER_BASES = frozenset({"ModelRunner", "ModelClass"})
"""Bases of ours: they call nothing of the author's while a model loads but `load_model`."""
DEFINITION_HOOKS = frozenset({"__init_subclass__", "__set_name__", "__class_getitem__", "__mro_entries__"})
"""Methods that run when other classes are defined."""
ALL, SPECIAL = "*", "__*__"
"""Names that stand for what a class holds."""
UNSEEN_NAMES, UNSEEN_ATTRIBUTES = frozenset({"eval", "exec", "globals", "vars"}), frozenset({"__dict__"})
"""With these, code uses what it does not name. (`net.eval()` is no `eval`.)"""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What was reached."""

    shapes: dict[Key, str] = field(default_factory=dict)
    """Each definition's content; empty for a name that nothing defined."""
    unseen: str = ""
    """The place of code that uses more than it names, or nothing."""

    def find_difference(self, modules: Mapping[str, ModuleUnits]) -> Key | None:
        """The first definition that is another one in these modules. Where there is none, the same would be reached."""
        members = _list_members(modules)
        for key, shape in self.shapes.items():
            if shape != (_describe_members(members, key[1]) if not key[0] else _shape_at(modules, key)):
                return key
        return None


def reach_of_loading(modules: Mapping[str, ModuleUnits], runners: Iterable[Key]) -> Reach:
    """What importing the modules and making and loading the runner may use.

    Args:
        modules: All modules of the folder that are imported.
        runners: The runner's class, and the classes of the folder that it inherits from.
    """
    walk = _Walk(modules)
    for module in modules.values():
        walk.visit_import(module)
    for name, runner in runners:
        walk.visit_name(name, runner)
        walk.visit_name(name, f"{runner}.load_model")
    return walk.finish()


def reach_of(modules: Mapping[str, ModuleUnits], key: Key) -> Reach:
    """What calling one function may use, itself included."""
    walk = _Walk(modules)
    walk.visit_name(*key)
    return walk.finish()


class _Walk:
    def __init__(self, modules: Mapping[str, ModuleUnits]) -> None:
        self._modules = modules
        self._shapes: dict[Key, str] = {}
        self._unseen = ""
        self._waiting: list[tuple[ModuleUnits, ast.AST]] = []
        self._attributes: set[str] = set()
        self._effects: set[int] = set()
        self._members = _list_members(modules)

    def finish(self) -> Reach:
        """Follow everything that was named."""
        while self._waiting:
            module, node = self._waiting.pop()
            self._visit_code(module, node)
        return Reach(shapes=self._shapes, unseen=self._unseen)

    def visit_import(self, module: ModuleUnits) -> None:
        """What runs when a module is imported: effects, and the heads of all definitions."""
        for effect in module.effects:
            if names_only(effect):
                self._visit_values(module, effect)
            else:
                self._waiting.append((module, effect))
        for unit in module.units.values():
            if unit.short_name in DEFINITION_HOOKS:
                self.visit_name(module.name, unit.name)
            self._waiting += [(module, node) for node in unit.ran]
            for base in unit.bases:
                self._visit_values(module, base)

    def visit_name(self, module_name: str, name: str) -> None:
        """A name of a module is used: what defines it is reached, or that nothing does."""
        if (module_name, name) in self._shapes or module_name not in self._modules:
            return
        module = self._modules[module_name]
        unit = module.units.get(name)
        self._shapes[module_name, name] = _shape_at(self._modules, (module_name, name))
        if unit is not None:
            self._visit_unit(module, unit)
            return
        for effect in module.effect_names.get(name, ()):
            if id(effect) not in self._effects:
                self._effects.add(id(effect))
                self._waiting.append((module, effect))
        for source in _list_stars(module):
            self.visit_name(source, name)

    def _visit_unit(self, module: ModuleUnits, unit: Unit) -> None:
        match unit.kind:
            case UnitKind.FUNCTION | UnitKind.METHOD:
                self._waiting.append((module, unit.node))
            case UnitKind.CLASS:
                self._visit_class(module, unit)
            case UnitKind.IMPORT if isinstance(unit.node, ast.ImportFrom):
                self.visit_name(module.resolve_import(unit.node), unit.node.names[0].name)
            case _:
                pass

    def _visit_class(self, module: ModuleUnits, unit: Unit) -> None:
        self._waiting += [(module, node) for node in (*unit.bases, *unit.ran)]
        is_open = any(self._is_foreign(module, base) for base in unit.bases)
        held = f"{unit.name}.{ALL if is_open else SPECIAL}"
        self._shapes[module.name, held] = _shape_at(self._modules, (module.name, held))
        for name in _list_held(module, held):
            self.visit_name(module.name, name)

    def _is_foreign(self, module: ModuleUnits, base: ast.expr) -> bool:
        """Does a base come from outside of the folder, so that nobody sees what it calls?"""
        name = base.attr if isinstance(base, ast.Attribute) else base.id if isinstance(base, ast.Name) else ""
        if name in RUNNER_BASES or name == "object":
            return False
        return not any(self._is_class(key) for key in self._members.get(name, ())) and not self._is_own_import(
            module, name
        )

    def _is_own_import(self, module: ModuleUnits, name: str) -> bool:
        unit = module.units.get(name)
        if unit is None or not isinstance(unit.node, ast.ImportFrom):
            return False
        source = module.resolve_import(unit.node)
        return source in self._modules and self._is_class((source, unit.node.names[0].name))

    def _is_class(self, key: Key) -> bool:
        unit = self._modules[key[0]].units.get(key[1])
        return unit is not None and unit.kind is UnitKind.CLASS

    def _visit_values(self, module: ModuleUnits, statement: ast.AST) -> None:
        """What is only named, and not called: of it only values count, since functions are changed where they are."""
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                unit = module.units.get(node.id)
                if unit is None or unit.kind in (UnitKind.CONSTANT, UnitKind.IMPORT):
                    self._visit_value(module, node.id)

    def _visit_value(self, module: ModuleUnits, name: str) -> None:
        """As `visit_name`, but an import of a function or class of the folder stays only named."""
        unit = module.units.get(name)
        if unit is not None and isinstance(unit.node, ast.ImportFrom):
            source, original = module.resolve_import(unit.node), unit.node.names[0].name
            found = self._modules[source].units.get(original) if source in self._modules else None
            if found is not None and found.kind is not UnitKind.CONSTANT:
                return
        self.visit_name(module.name, name)

    def _visit_code(self, module: ModuleUnits, code: ast.AST) -> None:
        for node in walk_code(code):
            match node:
                case ast.Name(id=name):
                    if name in UNSEEN_NAMES:
                        self._note_unseen(module, node, name)
                    self.visit_name(module.name, name)
                case ast.Attribute(attr=name):
                    if name in UNSEEN_ATTRIBUTES:
                        self._note_unseen(module, node, name)
                    self._visit_attribute(name)
                case ast.Call():
                    self._visit_call(module, node)
                case ast.ImportFrom():
                    for alias in node.names:
                        self.visit_name(module.resolve_import(node), alias.name)
                case _:
                    pass

    def _visit_attribute(self, name: str) -> None:
        if name in self._attributes:
            return
        self._attributes.add(name)
        self._shapes["", name] = _describe_members(self._members, name)
        for key in self._members.get(name, ()):
            self.visit_name(*key)

    def _visit_call(self, module: ModuleUnits, call: ast.Call) -> None:
        """Names may be given as texts: `getattr(self, "score")`."""
        for argument in call.args:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str) and argument.value.isidentifier():
                self._visit_attribute(argument.value)
        if isinstance(call.func, ast.Name) and call.func.id == "getattr" and len(call.args) > 1:
            is_named = isinstance(call.args[1], ast.Constant)
            if not is_named and _root_of(call.args[0]) not in _list_libraries(module, self._modules):
                self._note_unseen(module, call, "getattr")

    def _note_unseen(self, module: ModuleUnits, node: ast.expr, name: str) -> None:
        self._unseen = self._unseen or f"{name} in {module.file} line {node.lineno}"


def _shape_at(modules: Mapping[str, ModuleUnits], key: Key) -> str:
    if key[0] not in modules:
        return ""
    if key[1].endswith((f".{ALL}", f".{SPECIAL}")):
        return " ".join(_list_held(modules[key[0]], key[1]))
    unit = modules[key[0]].units.get(key[1])
    return unit.shape if unit else ""


def _list_held(module: ModuleUnits, held: str) -> list[str]:
    """What a class holds: all of it for `Index.*`, its special methods for `Index.__*__`."""
    owner, _, which = held.rpartition(".")
    return sorted(
        unit.name
        for unit in module.units.values()
        if unit.owner == owner and (which == ALL or is_special(unit.short_name))
    )


def _list_members(modules: Mapping[str, ModuleUnits]) -> dict[str, list[Key]]:
    """All definitions by the name that an attribute would have."""
    members: dict[str, list[Key]] = {}
    for module in modules.values():
        for unit in module.units.values():
            members.setdefault(unit.short_name, []).append((module.name, unit.name))
    return members


def _describe_members(members: Mapping[str, list[Key]], name: str) -> str:
    return " ".join(sorted(":".join(key) for key in members.get(name, ())))


def walk_code(code: ast.AST) -> Iterator[ast.AST]:
    """The nodes of code that runs: all but annotations."""
    waiting = [code]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, Function):
            waiting += [*node.decorator_list, *list_defaults(node), *node.body]
        elif isinstance(node, ast.AnnAssign):
            waiting += [node.target, *([node.value] if node.value else [])]
        else:
            waiting += ast.iter_child_nodes(node)


def _list_libraries(module: ModuleUnits, modules: Mapping[str, ModuleUnits]) -> frozenset[str]:
    """The names by which a module knows what is not the author's."""
    names: set[str] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            names |= {one.asname or one.name.partition(".")[0] for one in node.names if one.name not in modules}
        elif isinstance(node, ast.ImportFrom) and module.resolve_import(node) not in modules:
            names |= {one.asname or one.name for one in node.names}
    return frozenset(names)


def _root_of(node: ast.expr) -> str:
    """`np` of `np.random.mtrand`."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _list_stars(module: ModuleUnits) -> Iterator[str]:
    for effect in module.effects:
        if isinstance(effect, ast.ImportFrom) and effect.names[0].name == "*":
            yield module.resolve_import(effect)
