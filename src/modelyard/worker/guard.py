"""A worker does not outlive its gateway: the kernel is asked to see to it, and the end of the socket does too."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import NoReturn

from modelyard.worker.output import flush_output

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent is gone. Only Linux can; elsewhere nothing happens."""
    if not sys.platform.startswith("linux"):
        return
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    except (OSError, AttributeError):
        return


def close_stdin() -> None:
    """Give the author's code an empty stdin: `input()` must not wait for ever, nor read what was ours."""
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)


def leave_now(code: int) -> NoReturn:
    """End this process whatever the author's threads do."""
    flush_output()
    os._exit(code)


def leave_with_children() -> NoReturn:
    """The gateway is gone: nobody waits for an answer. End the process and what the author started from it."""
    flush_output()
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
