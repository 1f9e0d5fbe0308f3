"""Published packages as users install them, each set of pins in its own environment, outside the repository.

An environment is named by a hash of its pins, made once with uv, and reused by every later run.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from support.server import CACHE, RunningServer, locked

UV = Path(sys.executable).parent / "uv"
CLIENTS = Path(__file__).parent / "clients"
MAKE_TIMEOUT_S = 300
RUN_TIMEOUT_S = 120

# What `pip install` of these versions gives on the day these pins were written. requests and huggingface_hub are
# imported by clarifai 10.9 and 10.11 but not declared by them. The newest clarifai-grpc that 10.9.2 accepts wants
# protobuf 5; 10.11.1 and 12.5.0 take protobuf 7.
OLD = ("clarifai==10.9.2", "clarifai-grpc==11.6.1", "protobuf==5.27.3", "requests==2.32.5", "huggingface_hub==1.2.3")
MIDDLE = ("clarifai==10.11.1", "clarifai-grpc==12.6.0", "requests==2.32.5", "huggingface_hub==1.2.3")
NEW = ("clarifai==12.5.0", "clarifai-grpc==12.6.0")
STUBS = ("clarifai-grpc==10.9.11", "protobuf==5.27.3")


@dataclass(frozen=True)
class Published:
    """An environment with published packages only."""

    root: Path

    def run(
        self, program: str, *arguments: str, server: RunningServer, stdin: str = "", cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run one of its programs with a user's environment variables, and nothing of this process's Python."""
        env = {name: value for name, value in os.environ.items() if name in {"PATH", "LANG", "SSL_CERT_FILE"}}
        home = self.root / "home"
        home.mkdir(exist_ok=True)
        return subprocess.run(
            [self.root / "bin" / program, *arguments],
            env={**env, **server.environment, "HOME": str(home), "COLUMNS": "200"},
            input=stdin,
            cwd=cwd or home,
            capture_output=True,
            text=True,
            check=False,
            timeout=RUN_TIMEOUT_S,
        )


def make_published(pins: tuple[str, ...]) -> Published:
    """The environment of these pins; made when it is not there yet, by one of the runs that want it."""
    name = hashlib.sha256("\n".join((sys.version.split()[0], *pins)).encode()).hexdigest()[:16]
    root = CACHE / "published" / name
    with locked(root.with_suffix(".lock")):
        if not (root / "complete").exists():
            shutil.rmtree(root, ignore_errors=True)
            _uv("venv", "--python", sys.executable, str(root))
            _uv("pip", "install", "--python", str(root / "bin" / "python"), *pins)
            (root / "complete").touch()
    return Published(root)


def _uv(*arguments: str) -> None:
    done = subprocess.run(
        [UV, "--quiet", *arguments], capture_output=True, text=True, timeout=MAKE_TIMEOUT_S, check=False
    )
    assert done.returncode == 0, f"uv {' '.join(arguments)}:\n{done.stderr}"
