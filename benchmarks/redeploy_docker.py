"""The same work done by `docker build` and `docker run`, for `redeploy.py`: an edit, until the new container answers.

Docker is given its best: everything that does not change is a layer that is there, and packages come from uv's cache,
which lies in the image below. Where no Docker engine answers there is nothing to compare with, and that is said.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
BASE = "python:3.11-slim"
PREPARED, IMAGE, CONTAINER = "modelyard-bench-prepared", "modelyard-bench-model", "modelyard-bench"
RUNTIME_PACKAGES = ("clarifai-grpc", "PyYAML")
SETTINGS = ("index-url", "extra-index-url", "trusted-host")
TIMEOUT_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Step:
    """One redeploy, in seconds."""

    total_s: float
    build_s: float
    run_s: float
    """From `docker run` to the first answer."""


def find_docker() -> str:
    """Why there is nothing to compare with; empty where a Docker engine answers."""
    if shutil.which("docker") is None:
        return "there is no docker on this machine"
    done = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else "no Docker engine answers (DOCKER_HOST says where one is)"


class DockerYard:
    """An image below with all that stays, and a container that answers.

    Args:
        place: A folder of its own, on the disk to measure.
        folder: The model folder, which is edited by others.
        runtime: Ours, for the documented imports.
        base: The image to begin with; it has Python and pip.
        packages: Those that requirements will ask for, to be in uv's cache.
    """

    def __init__(self, place: Path, folder: Path, runtime: Path, *, base: str, packages: tuple[str, ...]) -> None:
        self._folder = folder
        self._context = place / "context"
        self._port = _find_port()
        self._prepare(place / "prepared", runtime, base, packages)

    def redeploy(self) -> Step:
        """Build what the folder is now, run it in the old one's place, and wait for its answer."""
        began = time.monotonic()
        self._write_context()
        _docker("build", "--quiet", "--network", "host", "--tag", IMAGE, self._context)
        built = time.monotonic()
        self.remove()
        _docker("run", "--detach", "--network", "host", "--name", CONTAINER, IMAGE)
        self._ask()
        ended = time.monotonic()
        return Step(total_s=ended - began, build_s=built - began, run_s=ended - built)

    def remove(self) -> None:
        """End the container."""
        subprocess.run(["docker", "rm", "--force", CONTAINER], capture_output=True, check=False)

    def _prepare(self, context: Path, runtime: Path, base: str, packages: tuple[str, ...]) -> None:
        context.mkdir(parents=True)
        shutil.copytree(runtime, context / "runtime", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(HERE / "served_folder.py", context / "served_folder.py")
        settings = _find_settings(context)
        uv = "uv pip install --system --break-system-packages"
        lines = [
            f"FROM {base}",
            "COPY certificates /etc/certificates",
            *(f"ENV {name}={value}" for name, value in settings.items()),
            "ENV PIP_BREAK_SYSTEM_PACKAGES=1 UV_LINK_MODE=copy PYTHONPATH=/runtime",
            f"RUN python3 -m pip install --quiet uv && {uv} {' '.join(RUNTIME_PACKAGES)}",
            *(f"RUN {uv} {one} && uv pip uninstall --system --break-system-packages {one}" for one in packages),
            "COPY runtime /runtime",
            "COPY served_folder.py /served_folder.py",
        ]
        (context / "Dockerfile").write_text("\n".join(lines) + "\n")
        _docker("build", "--quiet", "--network", "host", "--tag", PREPARED, context)

    def _write_context(self) -> None:
        """What an author has beside the folder: a Dockerfile whose last layer is the code. Links, so that nothing of it
        takes time that an author's own context would not."""
        shutil.rmtree(self._context, ignore_errors=True)
        shutil.copytree(self._folder, self._context / "model", copy_function=os.link)
        (self._context / "weights").mkdir()
        weights = self._context / "model" / "1" / "checkpoints"
        if weights.is_dir():
            weights.rename(self._context / "weights" / "checkpoints")
        lines = [
            f"FROM {PREPARED}",
            "COPY weights /model/1",
            "COPY model/requirements.txt /requirements.txt",
            "RUN uv pip install --system --break-system-packages --requirement /requirements.txt",
            "COPY model /model",
            f'CMD ["python3", "/served_folder.py", "/model", "{self._port}"]',
        ]
        (self._context / "Dockerfile").write_text("\n".join(lines) + "\n")

    def _ask(self) -> None:
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}", b"a text")
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            try:
                with urllib.request.urlopen(request, timeout=5) as answer:
                    if answer.read().startswith(b"Hello"):
                        return
            except OSError:
                if time.monotonic() > deadline:
                    logs = subprocess.run(["docker", "logs", CONTAINER], capture_output=True, text=True, check=False)
                    raise SystemExit(f"the container does not answer:\n{logs.stdout}{logs.stderr}") from None
            time.sleep(0.005)


def _docker(*arguments: str | Path) -> None:
    environ = {"DOCKER_BUILDKIT": "1", **os.environ}
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, env=environ, check=False)
    if done.returncode:
        raise SystemExit(f"docker {arguments[0]} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")


def _find_settings(context: Path) -> dict[str, str]:
    """The package index as pip has it on this machine, and the certificates that it trusts: read now, kept nowhere."""
    told = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True)
    pairs = [line.partition("=")[::2] for line in told.stdout.splitlines()]
    found = {key.rpartition(".")[2]: value.strip("'\"") for key, value in pairs}
    (context / "certificates").mkdir()
    certificate = found.get("cert") or os.environ.get("SSL_CERT_FILE", "")
    settings = {}
    if certificate:
        shutil.copy(certificate, context / "certificates" / "all.crt")
        settings |= dict.fromkeys(("PIP_CERT", "SSL_CERT_FILE"), "/etc/certificates/all.crt")
    for name in SETTINGS:
        if value := " ".join(one for one in found.get(name, "").split() if "file://" not in one):
            settings[f"PIP_{name.upper().replace('-', '_')}"] = f'"{value}"'
    if "PIP_INDEX_URL" in settings:
        settings["UV_DEFAULT_INDEX"] = settings["PIP_INDEX_URL"]
    return settings


def _find_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
