"""How a worker ends: it does not outlive its gateway, and takes with it what the author started.

The end of the socket tells that the gateway is gone, however it went. The kernel's own signal for that
(PR_SET_PDEATHSIG) would be quicker, and end this process before it could end its children.
"""

from __future__ import annotations

import os
import signal
from typing import NoReturn

from modelyard.worker.output import flush_output


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
