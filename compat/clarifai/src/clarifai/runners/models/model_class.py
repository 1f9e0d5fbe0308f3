"""`ModelClass`, as newer published folders import it: the same four methods, the same class."""

from __future__ import annotations

from modelyard.sdk.runner import ModelRunner as ModelClass

__all__ = ["ModelClass"]
