"""The logger, as published folders import it."""

from __future__ import annotations

from modelyard.sdk.logger import get_logger, logger

__all__ = ["get_logger", "logger"]
