"""The author's base classes, imported when they are asked for."""

from __future__ import annotations

from importlib import import_module
from pkgutil import extend_path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clarifai.runners.models.model_class import ModelClass
    from clarifai.runners.models.model_runner import ModelRunner

__all__ = ["ModelClass", "ModelRunner"]
__path__ = extend_path(__path__, __name__)

_HOMES = {"ModelClass": "clarifai.runners.models.model_class", "ModelRunner": "clarifai.runners.models.model_runner"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
