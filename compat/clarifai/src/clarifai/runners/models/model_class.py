"""`ModelClass`, as newer published folders import it: typed methods, or the four of ModelRunner."""

from __future__ import annotations

from modelyard.sdk.model_class import ModelClass
from modelyard.sdk.published import load_published

__all__ = ["ModelClass"]


def __getattr__(name: str) -> object:
    return load_published(__name__, name)
