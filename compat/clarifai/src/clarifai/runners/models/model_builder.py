"""`ModelBuilder`, with which published folders find their checkpoints."""

from __future__ import annotations

from modelyard.sdk.model_builder import ModelBuilder
from modelyard.sdk.published import load_published

__all__ = ["ModelBuilder"]


def __getattr__(name: str) -> object:
    return load_published(__name__, name)
