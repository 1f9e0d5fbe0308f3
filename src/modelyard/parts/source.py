"""What 1/model.py lacks, as far as it can be told without running it. Where it cannot be told, nothing is said."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Iterator

_BASES = ("ModelRunner", "ModelClass")
_STREAMS = ("generate", "stream")
_ANSWERS = ("predict", *_STREAMS)
_SKELETON = "write one `class MyModel(ModelRunner):` with load_model and predict"
Finding = tuple[int, str]
"""A line, and what is to be said about it."""


def read_source(source: str) -> ast.Module | None:
    """Parse a file; None where it cannot be parsed, which is another check's to tell."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def check_model_source(tree: ast.Module) -> Iterator[Finding]:
    """What the model's class lacks."""
    models = _list_models(tree)
    if not models:
        yield from _explain_no_model(tree)
        return
    bases = {_last_name(base) for node in models for base in node.bases}
    leaves = [node for node in models if node.name not in bases]
    if len(leaves) > 1:
        names = ", ".join(f"{node.name} (line {node.lineno})" for node in leaves)
        yield (
            leaves[1].lineno,
            f"there are {len(leaves)} classes of models: {names}; keep one here, and import the rest",
        )
    elif leaves:
        yield from _check_model(leaves[0], {node.name: node for node in models})


def _list_models(tree: ast.Module) -> list[ast.ClassDef]:
    """The classes that inherit from ours, be it through others of the file."""
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}

    def is_model(node: ast.ClassDef, above: tuple[str, ...] = ()) -> bool:
        names = [_last_name(base) for base in node.bases]
        return any(name in _BASES for name in names) or any(
            is_model(classes[name], (*above, name)) for name in names if name in classes and name not in above
        )

    return [node for node in classes.values() if is_model(node)]


def _explain_no_model(tree: ast.Module) -> Iterator[Finding]:
    """Nothing, where a class may inherit from ours by way of another module."""
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    imported = {alias.asname or alias.name for node in imports for alias in node.names}
    if any(_last_name(base) in imported for node in classes for base in node.bases):
        return
    yield (classes[0].lineno if classes else 1), f"no class of the file inherits from ModelRunner; {_SKELETON}"


def _check_model(model: ast.ClassDef, models: dict[str, ast.ClassDef]) -> Iterator[Finding]:
    methods, is_whole = _collect_methods(model, models)
    typed = [node for node in methods.values() if _is_published_method(node)]
    for node in typed:
        yield from _check_typed(node)
    if typed:
        return  # methods with names of their own
    if is_whole and "load_model" not in methods:
        yield model.lineno, f"{model.name} has no load_model; load the model there: it is called once, before requests"
    if is_whole and not any(name in methods for name in _ANSWERS):
        slips = (f"; is {name} meant to be {close}?" for name in methods if (close := _find_close(name)))
        yield model.lineno, f"{model.name} has none of predict, generate and stream{next(slips, '')}"
    for name in _ANSWERS:
        if name in methods:
            yield from _check_answer(methods[name])


def _collect_methods(
    model: ast.ClassDef, models: dict[str, ast.ClassDef]
) -> tuple[dict[str, ast.FunctionDef | ast.AsyncFunctionDef], bool]:
    """A class's methods with those that it inherits within the file, and whether those are all that there can be."""
    found: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = {}
    is_whole, waiting, seen = True, [model], set()
    while waiting:
        node = waiting.pop(0)
        seen.add(node.name)
        for one in node.body:
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
                found.setdefault(one.name, one)
            elif isinstance(one, ast.Assign | ast.AnnAssign | ast.If | ast.Try):
                is_whole = False  # `predict = ...`
        for name in map(_last_name, node.bases):
            if name in models and name not in seen:
                waiting.append(models[name])
            elif name not in _BASES and name not in models:
                is_whole = False
    return found, is_whole


def _is_published_method(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Newer published folders mark their methods: `@ModelClass.method`."""
    marks = [one.func if isinstance(one, ast.Call) else one for one in node.decorator_list]
    return any(_last_name(mark) == "method" for mark in marks)


def _check_typed(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Finding]:
    """Types say what travels: without them the class cannot be defined."""
    places = node.args
    named = [*places.posonlyargs, *places.args][1:] + places.kwonlyargs
    for one in named:
        if one.annotation is None:
            yield node.lineno, f"{node.name}: argument {one.arg} has no type; write it: `{one.arg}: str`"
    for many in (places.vararg, places.kwarg):
        if many is not None:
            yield node.lineno, f"{node.name}: *{many.arg} stands for any arguments; name each, with its type"
    if node.returns is None:
        yield node.lineno, f"{node.name} does not say what it returns; write it behind the arguments: `-> str:`"


def _find_close(name: str) -> str:
    close = difflib.get_close_matches(name, _ANSWERS, n=1, cutoff=0.75)
    return close[0] if close else ""


def _check_answer(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Finding]:
    is_static = any(_last_name(one) == "staticmethod" for one in node.decorator_list)
    taken = len(node.args.posonlyargs) + len(node.args.args) + is_static
    if taken < 2 and node.args.vararg is None:
        request = "request_iterator" if node.name == "stream" else "request"
        yield node.lineno, f"{node.name} takes no request; write `def {node.name}(self, {request}):`"
    inside = list(_walk_own(node))
    yields = any(isinstance(one, ast.Yield | ast.YieldFrom) for one in inside)
    if node.name in _STREAMS and not yields and not any(_may_stream(one) for one in inside):
        yield node.lineno, f"{node.name} never yields; it answers with `yield`, once for each part of the answer"
    if node.name == "predict" and yields:
        yield node.lineno, "predict yields; it has to return one answer: call it generate, or return"


def _may_stream(node: ast.AST) -> bool:
    """What is returned may be another's generator; and a method that raises is not meant to answer."""
    return isinstance(node, ast.Raise) or (
        isinstance(node, ast.Return) and isinstance(node.value, ast.Call | ast.GeneratorExp | ast.Name)
    )


def _walk_own(node: ast.AST) -> Iterator[ast.AST]:
    """What is inside of a function, without the functions in it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            yield child
            yield from _walk_own(child)


def _last_name(node: ast.expr) -> str:
    """`ModelRunner` of `model_runner.ModelRunner`."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def list_imports(tree: ast.Module) -> list[Finding]:
    """What is imported whatever happens, with its line: not what a `try` catches, nor what type checkers alone see."""
    found: list[Finding] = []
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.lineno, "." * node.level + (node.module or "")))
        waiting += _list_unconditional(node)
    return sorted(found)


def _list_unconditional(node: ast.AST) -> Iterable[ast.AST]:
    if isinstance(node, ast.Try):
        return [*([] if node.handlers else node.body), *node.orelse, *node.finalbody]
    if isinstance(node, ast.If) and _last_name(node.test) == "TYPE_CHECKING":
        return node.orelse
    return ast.iter_child_nodes(node)
