"""How soon a caller who leaves closes the author's generator: by gRPC cancel, by closing HTTP, by a deadline.

The generator yields every millisecond and writes down when it is closed; Python code ends at a `yield` only, so that
much is the model's own. Writes results/leaving.md.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

import grpc  # noqa: E402
from machine import describe_machine  # noqa: E402

from support.folders import write_folder  # noqa: E402
from support.probe import PROBE, ProbeFiles, rest_call, wait_until  # noqa: E402
from support.server import V2, RunningServer, running_server  # noqa: E402
from support.uploads import deploy  # noqa: E402

PAUSE = "0.001 10"
INTRODUCTION = """\
# Leaving

Made by `benchmarks/leaving.py`: from the moment a caller leaves to the moment the author's generator is closed, {times}
times each. The generator yields every millisecond.

| the caller | median ms | worst ms |
|---|---:|---:|"""


@dataclass(frozen=True)
class Site:
    """Where the model is."""

    server: RunningServer
    v2: V2
    files: ProbeFiles


Leave = Callable[[Site, str], float]
"""Begins a generator of this name, leaves it, and tells when that was."""


def cancel_generate(site: Site, name: str) -> float:
    """Cancel a server-streaming call; when."""
    call = site.v2.generate("probe", f"{name} {PAUSE}")
    next(call)
    at = time.time()
    call.cancel()
    return at


def cancel_stream(site: Site, name: str) -> float:
    """Cancel a bidirectional call; when."""
    call = site.v2.stream(iter([site.v2.text_request("probe", f"{name} {PAUSE}")]))
    next(call)
    at = time.time()
    call.cancel()
    return at


def close_events(site: Site, name: str) -> float:
    """Close a connection that takes server-sent events; when."""
    with rest_call(site.server, "outputs/generate", f"{name} {PAUSE}", accept="text/event-stream") as connection:
        connection.recv(64)
        return time.time()


def close_lines(site: Site, name: str) -> float:
    """Close a connection that takes lines of JSON; when."""
    with rest_call(site.server, "outputs/generate", f"{name} {PAUSE}") as connection:
        connection.recv(64)
        return time.time()


def let_expire(site: Site, name: str) -> float:
    """Let the deadline of a call pass; when."""
    at = time.time() + 0.1
    try:
        for _ in site.v2.generate("probe", f"{name} {PAUSE}", timeout=0.1):
            pass
    except grpc.RpcError:
        pass
    return at


WAYS: dict[str, Leave] = {
    "cancels GenerateModelOutputs": cancel_generate,
    "cancels StreamModelOutputs": cancel_stream,
    "closes server-sent events": close_events,
    "closes lines of JSON": close_lines,
    "lets its deadline of 100 ms pass": let_expire,
}


def measure(leave: Leave, site: Site, name: str) -> float:
    """Milliseconds from leaving to closing."""
    left_at = leave(site, name)
    wait_until(lambda: site.files.closed_at(name) is not None)
    return 1000 * ((site.files.closed_at(name) or 0.0) - left_at)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=40)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    options = parser.parse_args()
    lines = [INTRODUCTION.format(times=options.times)]
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder) / "d") as server, V2(server) as v2:
        version_id = deploy(v2, write_folder(Path(folder) / "f", model=PROBE, model_id="probe"), "probe")
        site = Site(server, v2, ProbeFiles(server, version_id))
        for number, (told, leave) in enumerate(WAYS.items()):
            took = [measure(leave, site, f"w{number}-{one}") for one in range(options.times)]
            lines.append(f"| {told} | {statistics.median(took):.1f} | {max(took):.1f} |")
    lines += ["", *(f"- {name}: {value}" for name, value in describe_machine(("uvloop",)).items())]
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "leaving.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
