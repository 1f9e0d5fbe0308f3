"""The logger that author's code writes to: plain lines on standard error, which the server keeps as run logs."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, TextIO

from modelyard.sdk.request import current_request

if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[TextIO]
else:  # not a generic class at run time before Python 3.11
    _StreamHandler = logging.StreamHandler

_LEVELS = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG")
_FORMAT = "%(levelname)s %(name)s: %(message)s"


class _StandardError(_StreamHandler):
    """Writes to whatever standard error is when a line is written; one on a logger is enough."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, with the id of the request that it belongs to."""
        line = super().format(record)
        request_id = current_request().id
        return f"{line} request_id={request_id}" if request_id else line

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def get_logger(logger_level: int | str = logging.NOTSET, name: str | None = None) -> logging.Logger:
    """Return a logger that writes to standard error, set to the level.

    Args:
        logger_level: A level of `logging`; NOTSET leaves the logger as it is.
        name: The name in front of each line, `clarifai` where none is given.
    """
    found = logging.getLogger(name or "clarifai")
    if logger_level != logging.NOTSET:
        found.setLevel(logger_level)
    if not any(isinstance(handler, _StandardError) for handler in found.handlers):
        handler = _StandardError()
        handler.setFormatter(logging.Formatter(_FORMAT))
        found.addHandler(handler)
        found.propagate = False
    return found


def _level_of_environment() -> str:
    level = os.environ.get("LOG_LEVEL", "INFO").upper()
    return level if level in _LEVELS else "INFO"


logger = get_logger(_level_of_environment())
"""The one that published folders import; `LOG_LEVEL` in the environment sets its level."""
