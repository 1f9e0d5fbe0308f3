"""What the numbers of a benchmark hold for."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from modelyard.parts.pythons import is_optimised


def describe_machine(packages: Iterable[str]) -> dict[str, Any]:
    """The machine, the versions of what was measured, and when."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    here = Path(__file__).parent
    commit = subprocess.run(
        ["git", "-C", here, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": f"{platform.python_version()}, {'' if is_optimised() else 'not '}built with optimizations",
        **{name: importlib.metadata.version(name) for name in packages},
        "commit": commit.stdout.strip(),
        "load average at the end": f"{os.getloadavg()[0]:.1f} over one minute",
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }
