"""`ModelRunner`, as the guide imports it."""

from __future__ import annotations

from modelyard.sdk.runner import ModelRunner

__all__ = ["ModelRunner"]
