"""What our `clarifai` modules lack comes from the published SDK, where the author's requirements have it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def load_published(module: str, name: str) -> object:
    """A name that our `clarifai.*` module does not have, out of the published module of the same name.

    For a module's `__getattr__`. The published module is loaded under a name of its own: ours stays what it is. Of the
    names that Python itself asks modules for, only `__version__` is looked for there.

    Raises:
        AttributeError: No published SDK is installed, or it has no such name; the message says what to do.
    """
    if name.startswith("__") and name != "__version__":
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    found = _load(module)
    if found is None:
        raise AttributeError(
            f"{module} has no {name!r} on Modelyard, and the published SDK is not installed: add `clarifai` to "
            "requirements.txt"
        )
    if not hasattr(found, name):
        raise AttributeError(f"neither Modelyard's {module} nor the published one has {name!r}")
    return getattr(found, name)


def _load(module: str) -> ModuleType | None:
    alias = f"_published_{module.replace('.', '_')}"
    if alias in sys.modules:
        return sys.modules[alias]
    path = _find_file(module)
    spec = importlib.util.spec_from_file_location(alias, path) if path else None
    if spec is None or spec.loader is None:
        return None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[alias] = loaded
    try:
        spec.loader.exec_module(loaded)
    except BaseException:
        del sys.modules[alias]
        raise
    return loaded


def _find_file(module: str) -> Path | None:
    """The module's file in another place on the path than ours."""
    own = getattr(sys.modules.get(module), "__file__", None)
    for root in sys.path:
        place = Path(root, *module.split("."))
        for path in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
            if path.is_file() and not (own and path.samefile(own)):
                return path
    return None
