"""What the load generator can do at most: against nghttpd, a server in C, and against a server that hardly reads."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from beside import environments, h2load, process
from beside.endpoint import Endpoint, make_grpc, make_rest
from beside.h2load import Load
from beside.payload import make_text
from beside.server import find_port


def measure(core: int, clients: int, seconds: float) -> list[dict[str, Any]]:
    """A row for each protocol; of gRPC only where nghttpd is installed."""
    text = make_text()
    rows = []
    with tempfile.TemporaryDirectory(prefix="bench-ceiling-") as name:
        folder = Path(name)
        (folder / "index.html").write_bytes(b"x" * 128)
        if shutil.which("nghttpd"):
            port = find_port()
            command = ["nghttpd", "--no-tls", "-a", "127.0.0.1", "-d", name, str(port)]
            endpoint = make_grpc("/", text.text.encode(), b"")
            rows.append(_measure_one("nghttpd", command, endpoint, port, core, clients, seconds, folder))
        port = find_port()
        python = environments.prepare("grpc")
        command = [str(python), str(environments.PEERS / "raw_server.py"), "--port", str(port)]
        endpoint = make_rest("/", text.in_json(text=...), b"")
        rows.append(_measure_one("raw HTTP/1.1", command, endpoint, port, core, clients, seconds, folder))
    return rows


def _measure_one(
    name: str, command: list[str], endpoint: Endpoint, port: int, core: int, clients: int, seconds: float, folder: Path
) -> dict[str, Any]:
    with process.on_core(core):
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
    try:
        time.sleep(1)
        outcome = h2load.run(endpoint, port, Load(connections=clients, seconds=seconds))
    finally:
        server.terminate()
        server.wait(10)
    return {
        "server": name,
        "protocol": endpoint.protocol,
        "clients": clients,
        "per_s": float(f"{outcome.succeeded / outcome.seconds:.4g}"),
        "load_core": float(f"{outcome.cpu_s / outcome.seconds:.3g}"),
    }
