"""The logger, as published folders import it."""

from __future__ import annotations

from modelyard.sdk.logger import get_logger, logger
from modelyard.sdk.published import load_published

__all__ = ["get_logger", "logger"]


def __getattr__(name: str) -> object:
    return load_published(__name__, name)
