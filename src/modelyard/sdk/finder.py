"""Find the one class of an imported `1/model.py` that is the model."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from types import ModuleType

from modelyard.errors import ModelLoadFailed
from modelyard.sdk.model_class import ModelClass
from modelyard.sdk.runner import ModelRunner

_SKELETON = "write one `class MyModel(ModelRunner):` in it"
_BASES = (ModelRunner, ModelClass)


def find_runner_class(module: ModuleType) -> type[ModelRunner]:
    """Return the one subclass of ModelRunner that the module itself defines.

    Imported classes do not count. Of classes in the module that inherit from each other, the last one counts.

    Raises:
        ModelLoadFailed: There is none, or there are several; the message names them with their lines.
    """
    own, imported = _list_runners(module)
    leaves = [cls for cls in own if not any(other is not cls and issubclass(other, cls) for other in own)]
    if len(leaves) == 1:
        return leaves[0]
    place = _place_of(module)
    if leaves:
        raise ModelLoadFailed(
            f"{place} defines {len(leaves)} subclasses of ModelRunner: {_describe(module, leaves)}; one is allowed",
            hint="keep one, or move the others to files that 1/model.py imports",
        )
    names = ", ".join(cls.__name__ for cls in imported)
    beside = f"; imported ones do not count: {names}" if imported else ""
    raise ModelLoadFailed(f"{place} defines no subclass of ModelRunner{beside}", hint=_SKELETON)


def _list_runners(module: ModuleType) -> tuple[list[type[ModelRunner]], list[type[ModelRunner]]]:
    found = {value: None for value in vars(module).values() if isinstance(value, type)}
    runners = [cls for cls in found if issubclass(cls, ModelRunner) and cls not in _BASES]
    own = [cls for cls in runners if cls.__module__ == module.__name__]
    return own, [cls for cls in runners if cls.__module__ != module.__name__]


def _place_of(module: ModuleType) -> str:
    file: str | None = getattr(module, "__file__", None)
    return "/".join(Path(file).parts[-2:]) if file else module.__name__


def _describe(module: ModuleType, classes: list[type[ModelRunner]]) -> str:
    lines = _lines_of_classes(module)
    return ", ".join(
        f"{cls.__name__} (line {lines[cls.__qualname__]})" if cls.__qualname__ in lines else cls.__name__
        for cls in classes
    )


def _lines_of_classes(module: ModuleType) -> dict[str, int]:
    try:
        tree = ast.parse(inspect.getsource(module))
    except (OSError, TypeError, SyntaxError):
        return {}
    return {node.name: node.lineno for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
