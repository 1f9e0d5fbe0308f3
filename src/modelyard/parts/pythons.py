"""Which Python interpreters this machine has; none is ever downloaded."""

from __future__ import annotations

import json
import os
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from modelyard.errors import BuildFailed
from modelyard.parts.builder import Builder

SUPPORTED = ((3, 10), (3, 13))
"""The first and the last version that the worker's code runs on."""


@dataclass(frozen=True, kw_only=True)
class Python:
    """One interpreter."""

    version: str
    """In full, `3.11.7`."""
    path: Path

    @property
    def numbers(self) -> tuple[int, ...]:
        """For comparing: (3, 11, 7)."""
        return tuple(int(number) for number in self.version.split("."))


def list_pythons(builder: Builder) -> list[Python]:
    """Every CPython that can run a worker: uv's own, the search path's, and pyenv's. Blocking, some 100 ms."""
    with tempfile.TemporaryDirectory(prefix="modelyard-") as scratch:
        arguments = ["python", "list", "--only-installed", "--all-versions", "--output-format", "json", "--offline"]
        done = builder.run(arguments, cwd=Path(scratch), path=os.pathsep.join(_list_folders(builder)))
    rows = json.loads(done.output) if done.exit_code == 0 and done.output.strip() else []
    found = [Python(version=row["version"], path=Path(row["path"])) for row in rows if _is_usable(row)]
    return [python for python in (own_python(), *found) if SUPPORTED[0] <= python.numbers[:2] <= SUPPORTED[1]]


def _is_usable(row: dict[str, str]) -> bool:
    """Not PyPy, not free-threaded, not a release candidate."""
    return (
        row["implementation"] == "cpython" and row["variant"] == "default" and row["version"].replace(".", "").isdigit()
    )


def choose_python(wanted: str, pythons: Iterable[Python]) -> Python:
    """The interpreter that runs Modelyard, where it is of the wanted version (`3.11`, or in full; "" is any): it was
    chosen for this machine, and `is_optimised` was asked of it. Else the newest of that version.

    Raises:
        BuildFailed: There is none; the message names those that there are.
    """
    there, own = list(pythons), own_python()
    numbers = tuple(int(number) for number in wanted.split(".") if number.isdigit())
    fitting = [python for python in there if python.numbers[: len(numbers)] == numbers]
    if not fitting and wanted:
        names = ", ".join(sorted({python.version for python in there}, key=lambda name: [*map(int, name.split("."))]))
        raise BuildFailed(
            f"Python {wanted} is not on this machine; there are: {names or 'none'}",
            hint="install it on the server, or set build_info.python_version in config.yaml to one of these",
        )
    of_own_version = [python for python in fitting if python.version == own.version]
    return of_own_version[0] if of_own_version else max(fitting, key=lambda python: python.numbers, default=own)


def is_optimised() -> bool:
    """Was the interpreter that runs us built with `--enable-optimizations`? Without, what is written in Python takes
    1.3 to 1.7 times as long. Distributions reach the same in ways of their own, which `sysconfig` does not tell."""
    told = sysconfig.get_config_var("CONFIG_ARGS")
    return told is None or "--enable-optimizations" in told or sys.base_prefix == "/usr"


def own_python() -> Python:
    """The interpreter below the virtual environment that we run in."""
    version = ".".join(map(str, sys.version_info[:3]))
    path = Path(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    return Python(version=version, path=path if path.exists() else Path(sys.executable))


def _list_folders(builder: Builder) -> list[str]:
    """Where to look: not into shims, which answer for a version that may not be there."""
    pyenv = Path(builder.environ.get("PYENV_ROOT") or Path(builder.environ.get("HOME") or "/nonexistent", ".pyenv"))
    versions = sorted(str(path) for path in pyenv.glob("versions/*/bin"))
    search = builder.environ.get("PATH", "").split(os.pathsep)
    return [*versions, *(folder for folder in search if folder and not folder.rstrip("/").endswith("shims"))]
