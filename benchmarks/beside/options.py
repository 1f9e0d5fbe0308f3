"""What a run of the benchmark was asked for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Options:
    """Cores by number; `against` names peers, none of them means all."""

    rounds: int = 5
    seconds: float = 1.2
    against: Sequence[str] = ()
    server_core: int = 0
    load_core: int = 1


def choose_cores() -> tuple[int, int]:
    """The server's and the load's: the first two that this process may use."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("script/bench: needs two cores, one for the servers and one for the load")
    return cores[0], cores[1]
