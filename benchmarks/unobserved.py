"""The server without its measuring, for `observability.py` alone: the same program with empty functions instead."""

from __future__ import annotations

import modelyard.server.api.v2.dispatch as dispatch
import modelyard.server.api.v2.outputs as outputs
from modelyard.cli.main import main
from modelyard.server.telemetry.series import Histogram


class Nothing:
    """In place of a stopwatch."""

    __slots__ = ()

    def __init__(self, *_told: object) -> None:
        """Nothing is looked at."""

    def stop(self, *_told: object) -> None:
        """Nothing is counted."""

    def stop_at_model(self, *_told: object) -> None:
        """Nothing is counted."""


def ignore(*_told: object) -> None:
    """Nothing is observed."""


def give_none(*_told: object) -> bytes:
    """Nothing goes to the worker."""
    return b""


dispatch.Stopwatch = outputs.Stopwatch = Nothing
dispatch.read_code = outputs.peek_code = Histogram.observe = ignore
outputs.encode_note = give_none
main()
