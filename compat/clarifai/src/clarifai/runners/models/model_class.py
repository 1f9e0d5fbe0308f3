"""`ModelClass`, as newer published folders import it: the same four methods, the same class."""

from __future__ import annotations

from modelyard.sdk.published import load_published
from modelyard.sdk.runner import ModelRunner as ModelClass

__all__ = ["ModelClass"]


def __getattr__(name: str) -> object:
    return load_published(__name__, name)
