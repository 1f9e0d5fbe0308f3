"""An environment for each peer: uv installs the pinned versions of peers/NAME.txt under .bench, which git ignores."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from modelyard.parts.pythons import own_python

BENCHMARKS = Path(__file__).parents[1]
PEERS = BENCHMARKS / "peers"
CACHE = BENCHMARKS.parent / ".bench"
PYTHON_VERSION = "3.11"
"""What the pins are for."""
INTERPRETER = own_python().path
"""The one below ours: how it was built makes all of them quicker or slower."""
INSTALL_TIMEOUT_S = 900


OWN = "modelyard"
"""The environment that this runs in."""


class NotInstalled(Exception):
    """A peer whose packages cannot be installed, and uv's reason."""


def prepare(name: str) -> Path:
    """The Python of the peer's environment, made where it is missing, or its pins or the interpreter have changed."""
    if name == OWN:
        return Path(sys.executable)
    pins = PEERS / f"{name}.txt"
    folder = CACHE / "envs" / name
    stamp = folder / ".pins"
    digest = hashlib.sha256(pins.read_bytes() + bytes(INTERPRETER)).hexdigest()
    python = folder / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != digest:
        print(f"installing {name}", flush=True)
        _uv("venv", "--clear", "--python", str(INTERPRETER), str(folder))
        _uv("pip", "install", "--compile-bytecode", "--python", str(python), "-r", str(pins))
        stamp.write_text(digest)
    return python


def pin() -> None:
    """Write all peers/NAME.txt anew from peers/NAME.in."""
    for source in sorted(PEERS.glob("*.in")):
        options = ["--universal", "--upgrade", "--python-version", PYTHON_VERSION, "--no-header", "--no-annotate"]
        _uv("pip", "compile", *options, "--no-emit-index-url", str(source), "-o", str(source.with_suffix(".txt")))


def read_version(name: str, package: str) -> str:
    """What peers/NAME.txt pins."""
    if name == OWN:
        return metadata.version(package)
    for line in (PEERS / f"{name}.txt").read_text().splitlines():
        if line.lower().startswith(f"{package.lower()}=="):
            return line.split("==")[1].split()[0]
    raise KeyError(f"peers/{name}.txt does not pin {package}")


def _uv(*arguments: str) -> None:
    uv = Path(sys.executable).with_name("uv")
    done = subprocess.run(
        [uv, "--quiet", *arguments], capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False
    )
    if done.returncode != 0:
        raise NotInstalled(done.stderr.strip()[-2000:])
