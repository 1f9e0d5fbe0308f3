"""A module's source as units that can be compared one by one: functions, methods, classes, constants, imports.

What is no unit is an effect: a statement whose order and number count, such as a call, an `if` or a computed value. A
name that is bound more than once makes effects of all that binds it.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum

Function = ast.FunctionDef | ast.AsyncFunctionDef
INERT = (
    ast.Assign, ast.AnnAssign, ast.Name, ast.Constant, ast.Dict, ast.List, ast.Tuple, ast.Set, ast.Starred,
    ast.expr_context,
)  # fmt: skip
"""What a statement may consist of that calls nothing: it only names things."""


class UnitKind(Enum):
    """What a unit is."""

    FUNCTION = "function"
    METHOD = "method"
    CLASS = "class"
    CONSTANT = "constant"
    """A name bound to a literal, in a module or in a class."""
    IMPORT = "import"


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One definition. Two are the same where `shape` and `head` are the same."""

    name: str
    """`score`, or `Index.score` for what a class holds."""
    kind: UnitKind
    node: ast.stmt
    shape: str
    """All that decides what it does when it is used; for a class its frame alone: bases, decorators, fields."""
    head: str = ""
    """What ran when it was defined, and would not run again: decorators, computed defaults."""
    ran: tuple[ast.AST, ...] = ()
    """The code that ran when it was defined."""
    bases: tuple[ast.expr, ...] = ()
    """Of a class: what it inherits from."""

    @property
    def owner(self) -> str:
        """The class that holds it, or nothing."""
        return self.name.rpartition(".")[0]

    @property
    def short_name(self) -> str:
        """The name as code mentions it."""
        return self.name.rpartition(".")[2]


@dataclass(frozen=True, kw_only=True)
class ModuleUnits:
    """What a module's source says."""

    name: str
    file: str
    """As the author knows it: `1/model.py`."""
    is_package: bool
    tree: ast.Module
    units: dict[str, Unit] = field(default_factory=dict)
    effects: list[ast.stmt] = field(default_factory=list)
    effect_names: dict[str, list[ast.stmt]] = field(default_factory=dict)
    """The names that effects bind."""

    @property
    def effect_shapes(self) -> list[str]:
        """The effects, comparable."""
        return [ast.dump(one) for one in self.effects]

    def with_file(self, file: str) -> ModuleUnits:
        """The same, under the name that the author knows."""
        return replace(self, file=file)

    def resolve_import(self, node: ast.ImportFrom) -> str:
        """The full name of the module that a `from ... import` means."""
        if not node.level:
            return node.module or ""
        parts = self.name.split(".")
        parts = parts[: len(parts) - node.level + (1 if self.is_package else 0)]
        return ".".join([*parts, *([node.module] if node.module else [])])


def read_units(name: str, text: bytes, file: str, *, is_package: bool = False) -> ModuleUnits:
    """Take a source apart. Raises what `ast.parse` raises: SyntaxError, ValueError, RecursionError."""
    tree = ast.parse(text, file)
    module = ModuleUnits(name=name, file=file, is_package=is_package, tree=tree)
    body = [one for one in tree.body if not _is_idle(one)]
    times = Counter(bound for one in body for bound in list_bound_names(one))
    for statement in body:
        found = [] if any(times[bound] > 1 for bound in list_bound_names(statement)) else _make_units(statement)
        if found:
            module.units.update({unit.name: unit for unit in found})
            continue
        module.effects.append(statement)
        for bound in list_bound_names(statement):
            module.effect_names.setdefault(bound, []).append(statement)
    return module


def list_bound_names(statement: ast.stmt) -> list[str]:
    """The names that a statement binds in its own scope."""
    if isinstance(statement, Function | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name.partition(".")[0] for alias in statement.names]
    return sorted(set(_walk_bound(statement)))


def is_literal(node: ast.expr | None) -> bool:
    """Is it a value that can be read off the source?"""
    if node is None:
        return False
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def list_defaults(node: Function) -> list[ast.expr]:
    """The expressions of default values."""
    return [*node.args.defaults, *(one for one in node.args.kw_defaults if one is not None)]


def names_only(statement: ast.stmt) -> bool:
    """Does an effect only name things, such as `HANDLERS = {"a": answer_a}`, and call none of them?"""
    return all(isinstance(node, INERT) for node in ast.walk(statement))


def is_special(name: str) -> bool:
    """Is it a name that Python itself calls, such as `__init__`?"""
    return name.startswith("__") and name.endswith("__")


def _walk_bound(statement: ast.stmt) -> Iterator[str]:
    for node in _walk_scope(statement):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, Function | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from list_bound_names(node)
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
            yield node.name


def _walk_scope(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below, without what functions and classes hold."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, Function | ast.ClassDef | ast.Lambda):
            yield from _walk_scope(child)


def _is_idle(statement: ast.stmt) -> bool:
    """Does it do nothing in an import: a docstring, `pass`, or what only `python 1/model.py` runs?"""
    if isinstance(statement, ast.Pass) or _is_docstring(statement):
        return True
    return isinstance(statement, ast.If) and not statement.orelse and ast.dump(statement.test) == _MAIN_TEST


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _make_units(statement: ast.stmt) -> list[Unit]:
    """The units of a statement; none where it is an effect."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return [_make_function(statement, UnitKind.FUNCTION, "")]
        case ast.ClassDef():
            return _make_class(statement)
        case ast.Import() | ast.ImportFrom():
            return _make_imports(statement)
        case _:
            return _make_constant(statement, "")


def _make_function(node: Function, kind: UnitKind, owner: str) -> Unit:
    return Unit(
        name=_join(owner, node.name),
        kind=kind,
        node=node,
        shape=ast.dump(_undress(node)),
        head=_head_of(node),
        ran=(*node.decorator_list, *list_defaults(node)),
    )


def _undress(node: Function) -> Function:
    """A shallow copy without docstring, without decorators and without the annotations of its signature."""
    body = node.body[1:] if len(node.body) > 1 and _is_docstring(node.body[0]) else node.body
    plain = copy.copy(node)
    plain.args = copy.copy(node.args)
    for name in ("posonlyargs", "args", "kwonlyargs"):
        setattr(plain.args, name, [ast.arg(arg=one.arg) for one in getattr(node.args, name)])
    for name in ("vararg", "kwarg"):
        one = getattr(node.args, name)
        setattr(plain.args, name, one and ast.arg(arg=one.arg))
    plain.body, plain.decorator_list, plain.returns = body, [], None
    return plain


def _head_of(node: Function) -> str:
    """Decorators may read all that a function says of itself, so then its signature and docstring belong to it."""
    defaults = list_defaults(node)
    parts = [] if all(is_literal(one) for one in defaults) else [ast.dump(one) for one in defaults]
    parts += [ast.dump(one) for one in getattr(node, "type_params", [])]
    if node.decorator_list:
        parts += [ast.dump(one) for one in node.decorator_list]
        parts += [ast.dump(node.args), ast.dump(node.returns) if node.returns else "", ast.get_docstring(node) or ""]
    return "\n".join(parts)


def _make_class(node: ast.ClassDef) -> list[Unit]:
    body = [one for one in node.body if not _is_idle(one)]
    times = Counter(bound for one in body for bound in list_bound_names(one))
    held: list[Unit] = []
    frame: list[ast.AST] = [*node.keywords, *node.decorator_list, *getattr(node, "type_params", [])]
    for statement in body:
        unit = None
        if all(times[bound] == 1 for bound in list_bound_names(statement)):
            unit = _make_held(statement, node.name)
        if unit is None:
            frame.append(statement)
        else:
            held.append(unit)
    shape = "\n".join(ast.dump(one) for one in [*node.bases, *frame])
    return [
        Unit(name=node.name, kind=UnitKind.CLASS, node=node, shape=shape, ran=tuple(frame), bases=tuple(node.bases)),
        *held,
    ]


def _make_held(statement: ast.stmt, owner: str) -> Unit | None:
    if isinstance(statement, Function):
        return _make_function(statement, UnitKind.METHOD, owner)
    return next(iter(_make_constant(statement, owner)), None)


def _make_constant(statement: ast.stmt, owner: str) -> list[Unit]:
    value = read_value(statement)
    names = list_bound_names(statement)
    if value is None or len(names) != 1 or not is_literal(value):
        return []
    return [Unit(name=_join(owner, names[0]), kind=UnitKind.CONSTANT, node=statement, shape=ast.dump(value))]


def read_value(statement: ast.stmt) -> ast.expr | None:
    """What `NAME = value` or `NAME: type = value` binds; None for any other statement."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name):
        return statement.value
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return statement.value
    return None


def _make_imports(statement: ast.Import | ast.ImportFrom) -> list[Unit]:
    """One unit a name. `import a.b` binds `a` and imports more than that, and a star binds what nobody sees."""
    if isinstance(statement, ast.ImportFrom) and (statement.module == "__future__" or statement.names[0].name == "*"):
        return []
    return [
        Unit(name=alias.asname or alias.name.partition(".")[0], kind=UnitKind.IMPORT, node=one, shape=ast.dump(one))
        for alias in statement.names
        for one in [_import_one(statement, alias)]
    ]


def _import_one(statement: ast.Import | ast.ImportFrom, alias: ast.alias) -> ast.stmt:
    one: ast.stmt = (
        ast.ImportFrom(module=statement.module, names=[alias], level=statement.level)
        if isinstance(statement, ast.ImportFrom)
        else ast.Import(names=[alias])
    )
    return ast.copy_location(one, statement)


def _join(owner: str, name: str) -> str:
    return f"{owner}.{name}" if owner else name


def iter_functions(units: Iterable[Unit]) -> Iterator[tuple[Unit, Function]]:
    """The functions and methods, with their nodes."""
    for unit in units:
        if isinstance(unit.node, Function) and unit.kind in (UnitKind.FUNCTION, UnitKind.METHOD):
            yield unit, unit.node


_MAIN_TEST = ast.dump(ast.parse('__name__ == "__main__"', mode="eval").body)
