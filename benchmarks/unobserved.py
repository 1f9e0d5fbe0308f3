"""The server with measuring that can be switched off while it runs, for `observability.py` alone: two processes of one
program differ by more than that costs, and stay so for as long as they live.

The file that `BENCH_SWITCH` names says how much is done, in the gateway and in its workers: `metrics` is the server as
it is, `request ids` has empty functions in place of those that count, and `none` tells workers no request ids either.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import modelyard.server.api.v2.dispatch as dispatch
import modelyard.server.api.v2.errand as errand
import modelyard.server.api.v2.outputs as outputs
import modelyard.server.compose as compose
from modelyard.cli.main import main
from modelyard.server.telemetry.requests import peek_code
from modelyard.server.telemetry.series import Histogram

SWITCH = Path(os.environ["BENCH_SWITCH"])
LOOK_S = 0.01
IN_WORKER = f"""

def _follow_switch(path={str(SWITCH)!r}):
    import time

    def ignore(*told): pass

    counting = Tally.count_call, Tally.count_made
    while True:
        with open(path) as switch:
            is_counting = switch.read() == "metrics"
        Tally.count_call, Tally.count_made = counting if is_counting else (ignore, ignore)
        time.sleep({LOOK_S})


threading.Thread(target=_follow_switch, daemon=True).start()
"""


class Nothing:
    """In place of a stopwatch."""

    __slots__ = ("model",)
    trace = None

    def __init__(self, *_told: object) -> None:
        """Nothing is looked at."""

    def stop(self, *_told: object) -> None:
        """Nothing is counted."""


def ignore(*_told: object) -> int:
    """Nothing is observed."""
    return 0


def give_none(*_told: object) -> bytes:
    """Nothing goes to the worker."""
    return b""


def follow_switch() -> None:
    """Do as the file says, in the gateway."""
    counting = dispatch.Stopwatch, Histogram.observe
    encode_id = outputs.encode_id
    last = "metrics"
    while True:
        told = SWITCH.read_text()
        if told != last:
            is_counting = told == "metrics"
            dispatch.Stopwatch, Histogram.observe = counting if is_counting else (Nothing, ignore)
            dispatch.peek_code = errand.peek_code = peek_code if is_counting else ignore
            outputs.encode_id = give_none if told == "none" else encode_id
            last = told
        time.sleep(LOOK_S)


stage_runtime = compose.stage_runtime


def stage(root: compose.Path) -> compose.Path:
    """What travels into workers, with the switch."""
    runtime = stage_runtime(root)
    tally = runtime / "modelyard" / "worker" / "tally.py"
    if IN_WORKER not in tally.read_text():
        tally.write_text(tally.read_text() + IN_WORKER)
    return runtime


compose.stage_runtime = stage
threading.Thread(target=follow_switch, daemon=True).start()
main()
