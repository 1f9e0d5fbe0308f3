"""The author's base classes, imported when they are asked for."""

from __future__ import annotations

from importlib import import_module
from pkgutil import extend_path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clarifai.runners.models.model_builder import ModelBuilder
    from clarifai.runners.models.model_class import ModelClass
    from clarifai.runners.models.model_runner import ModelRunner

__all__ = ["ModelBuilder", "ModelClass", "ModelRunner"]
__path__ = extend_path(__path__, __name__)

_HOMES = {
    "MCPModelClass": "clarifai.runners.models.mcp_class",
    "ModelBuilder": "clarifai.runners.models.model_builder",
    "ModelClass": "clarifai.runners.models.model_class",
    "ModelRunner": "clarifai.runners.models.model_runner",
    "OpenAIModelClass": "clarifai.runners.models.openai_class",
}
"""The two that are not in `__all__` are the published SDK's own."""


def __getattr__(name: str) -> object:
    # Needed by this alone: importing the package costs nothing.
    from modelyard.sdk.published import load_published

    if name not in _HOMES:
        return load_published(__name__, name)
    return getattr(import_module(_HOMES[name]), name)
