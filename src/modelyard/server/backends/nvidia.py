"""NVIDIA's devices, as its own `nvidia-smi` tells them."""

from __future__ import annotations

import csv
import logging
import os
import subprocess
from collections.abc import Mapping, Sequence

from modelyard.server.backends.accelerators import Accelerator

COMMAND = ("nvidia-smi", "--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits")
COLUMNS = 4
TIMEOUT_S = 10.0
VISIBLE = "CUDA_VISIBLE_DEVICES"
MIB = 1024**2

log = logging.getLogger(__name__)


class NvidiaSmi:
    """An `AcceleratorDetector`. Of the devices, those that the operator lets this server see, and in that order.

    Args:
        environ: The operator's variables: `PATH`, and `CUDA_VISIBLE_DEVICES` where not all devices are the server's.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = os.environ if environ is None else environ

    def list(self) -> Sequence[Accelerator]:
        """See `AcceleratorDetector.list`."""
        rows = csv.reader(self._ask().splitlines(), skipinitialspace=True)
        found = dict(_read_row(row) for row in rows if len(row) == COLUMNS)
        visible = self._environ.get(VISIBLE)
        if visible is None:
            return list(found.values())
        return _choose(found, [one.strip() for one in visible.split(",") if one.strip()])

    def _ask(self) -> str:
        try:
            done = subprocess.run(
                COMMAND, capture_output=True, text=True, timeout=TIMEOUT_S, check=True, env=dict(self._environ)
            )
        except FileNotFoundError:
            return ""
        except (OSError, subprocess.SubprocessError) as error:
            log.warning("accelerators.silent command=%s error=%s", COMMAND[0], type(error).__name__)
            return ""
        return done.stdout


def _read_row(row: Sequence[str]) -> tuple[str, Accelerator]:
    """(its index, the device). Memory may be `[N/A]`."""
    index, uuid, name, memory = (one.strip() for one in row)
    size = int(memory) * MIB if memory.isdecimal() else 0
    return index, Accelerator(device=uuid, name=name, memory_bytes=size)


def _choose(found: Mapping[str, Accelerator], visible: Sequence[str]) -> Sequence[Accelerator]:
    """As CUDA reads it: by index or by the beginning of an id; what follows a name that fits nothing does not count."""
    chosen: list[Accelerator] = []
    for name in visible:
        by_id = [one for one in found.values() if one.device.startswith(name)]
        one = found.get(name) or (by_id[0] if len(by_id) == 1 else None)
        if one is None or one in chosen:
            break
        chosen.append(one)
    return chosen
