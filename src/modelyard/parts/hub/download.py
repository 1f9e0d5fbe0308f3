"""The download process: asks a hub, fills the depot, and tells on the way. `parts/hub/process.py` starts it.

Its own process, because what it talks to is not ours: nothing of the hub's library, its caches, its environment
variables or its threads gets into the gateway. It ends when its standard input does, that is, with who started it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

from huggingface_hub import constants

from modelyard.parts.hub.messages import Event, Order, Unchanged, write_event
from modelyard.parts.hub.quick import leads_to


def main() -> int:
    """One order from standard input, events to standard output."""
    tell = _take_output()
    order = Order.from_line(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if order.known_commit and _is_unchanged(order):
        tell(Unchanged())
        return 0
    from modelyard.parts.hub.errand import run_errand  # takes half a second, which most answers do not need

    tell(run_errand(order, constants.ENDPOINT, tell))
    return 0


def _take_output() -> Callable[[Event], None]:
    """Events alone go to the standard output: what a library prints goes the way of its warnings."""
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    lock = threading.Lock()

    def tell(event: Event) -> None:
        with lock:
            output.write(write_event(event))
            output.flush()

    return tell


def _end_with_parent() -> None:
    os.read(0, 1)
    os._exit(1)


def _is_unchanged(order: Order) -> bool:
    return leads_to(
        constants.ENDPOINT,
        order.repo_id,
        order.revision,
        order.known_commit,
        token=order.token,
        timeout_s=constants.HF_HUB_ETAG_TIMEOUT,
    )


if __name__ == "__main__":
    sys.exit(main())
