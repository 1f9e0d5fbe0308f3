"""What the worker's process prints is the model's log: the gateway reads it line by line."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

_STDERR = 2


def print_lines_at_once() -> None:
    """A line is in the log when it was printed, not when a buffer is full."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]


def flush_output() -> None:
    """Write out what the author printed. They may have replaced the streams by anything."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()


def say(text: str) -> None:
    """Write to the log ourselves, whatever became of `sys.stderr`."""
    flush_output()
    with suppress(OSError):
        os.write(_STDERR, f"{text}\n".encode("utf-8", "replace"))
