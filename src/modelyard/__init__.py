"""Modelyard: from a model folder to a served model, open and self-hosted, over the public V2 API."""

from __future__ import annotations

from modelyard.sdk.model_class import ModelClass
from modelyard.sdk.request import current_request
from modelyard.sdk.runner import ModelRunner

__all__ = ["ModelClass", "ModelRunner", "__version__", "current_request"]
__version__ = "0.1.0"
