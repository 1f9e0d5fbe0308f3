"""`ModelRunner`, as the guide imports it."""

from __future__ import annotations

from modelyard.sdk.published import load_published
from modelyard.sdk.runner import ModelRunner

__all__ = ["ModelRunner"]


def __getattr__(name: str) -> object:
    return load_published(__name__, name)
