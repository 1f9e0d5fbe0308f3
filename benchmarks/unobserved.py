"""The server without its measuring, for `observability.py` alone: the same program with empty functions instead, in the
gateway and in its workers. With `BENCH_KEEPS_IDS` request ids are told to workers as they are."""

from __future__ import annotations

import os

import modelyard.server.api.v2.dispatch as dispatch
import modelyard.server.api.v2.outputs as outputs
import modelyard.server.compose as compose
from modelyard.cli.main import main
from modelyard.server.telemetry.series import Histogram

UNCOUNTED = """

Made.add = lambda self, answer: None

def _ignore(*told): pass

Tally.count_call = Tally.count_made = _ignore
"""


class Nothing:
    """In place of a stopwatch."""

    __slots__ = ()
    trace = None

    def __init__(self, *_told: object) -> None:
        """Nothing is looked at."""

    def assign(self, *_told: object) -> None:
        """No model is told."""

    def stop(self, *_told: object) -> None:
        """Nothing is counted."""


def ignore(*_told: object) -> int:
    """Nothing is observed."""
    return 0


def give_none(*_told: object) -> bytes:
    """Nothing goes to the worker."""
    return b""


stage_runtime = compose.stage_runtime


def stage(root: compose.Path) -> compose.Path:
    """What travels into workers, without counting."""
    runtime = stage_runtime(root)
    invoke = runtime / "modelyard" / "worker" / "tally.py"
    if UNCOUNTED not in invoke.read_text():
        invoke.write_text(invoke.read_text() + UNCOUNTED)
    return runtime


compose.stage_runtime = stage
dispatch.Stopwatch = Nothing
dispatch.read_code = Histogram.observe = ignore
if "BENCH_KEEPS_IDS" not in os.environ:
    outputs.encode_note = give_none
main()
