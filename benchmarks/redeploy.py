"""Seconds from the upload command to the new version serving, by what has changed and what lies beside it.

A server of its own on this machine, `modelyard upload` as a user types it, and beside it a whole archive of the same
folder as published clients send one, and `docker build` and `docker run` of it, where a Docker engine answers. The
split is read from the server's log. Writes results/redeploy.json and .md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from machine import describe_machine
from redeploy_docker import BASE, DockerYard, Step, find_docker

HERE = Path(__file__).parent
PACKAGES = ("uv", "clarifai-grpc")
MEBIBYTE = 1024 * 1024
INTRODUCTION = """\
# Redeploys

Made by `script/bench redeploy`: medians of {rounds} rounds, in seconds, from the command (`modelyard upload`) to its
end, when the new version serves. The folder is `string-cat`, with random bytes as its checkpoint where a size is given.

- `send`: the command starts, checks, asks and sends, until the server begins to build.
- `build`: the environment; until the replica's process is started.
- `start`: Python starts and imports the worker.
- `load`: the author's class is imported and loads.
- `seen`: the new version takes traffic and the command ends.
- `by hand`: the same Python imports the same class, loads it and predicts once, without any server.

| what | total | send | build | start | load | seen | by hand | total / by hand |
|---|---:|---:|---:|---:|---:|---:|---:|---:|"""
DOCKER_INTRODUCTION = """
Beside it `docker build` and `docker run` of the same folder, in turns with the rows above: from the edit to the first
answer of the new container. The image below has Python, the packages and a warm cache of uv; weights, requirements and
code are layers of their own, the code last; the container runs the class behind Python's own HTTP server.

| what | modelyard | docker | of it build | of it run, until it answers | modelyard / docker |
|---|---:|---:|---:|---:|---:|"""
REQUIREMENTS = (("numpy",), ("numpy", "pillow", "scikit-learn"))
SMALL_FILES = 5000
STAMP = re.compile(r"^(\S+ \S+?),(\d{3}) ")


@dataclass
class Row:
    """One thing that is done, and what it took each time."""

    name: str
    totals: list[float] = field(default_factory=list)
    splits: list[dict[str, float]] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    docker: list[Step] = field(default_factory=list)
    """The same done by Docker."""


class Server:
    """`modelyard up`, its log, and the folder that is uploaded to it."""

    def __init__(self, place: Path, process: subprocess.Popen[str], log: Path) -> None:
        self.place = place
        self.process = process
        self.log = log
        self.env = os.environ | {
            "MODELYARD_DATA_DIR": str(place / "data"),
            "MODELYARD_CACHE_DIR": str(place / "cache"),
        }
        self.env.pop("CLARIFAI_API_BASE", None)
        self.folder = place / "folder"
        shutil.copytree(HERE / "string-cat", self.folder, ignore=shutil.ignore_patterns("__pycache__", "sample.txt"))
        self.edits = 0

    def edit(self) -> None:
        """Change a line of the code."""
        self.edits += 1
        model = self.folder / "1" / "model.py"
        model.write_text(re.sub(r'self.prefix = ".*"', f'self.prefix = "Hello {self.edits}, "', model.read_text()))

    def run(self, command: list[str | Path]) -> tuple[float, dict[str, float]]:
        """Run an upload; how long it took, and the split."""
        seen = self.log.stat().st_size
        began = time.time()
        subprocess.run(command, check=True, env=self.env, stdout=subprocess.DEVNULL)
        ended = time.time()
        return ended - began, self._split(seen, began, ended)

    def upload(self) -> tuple[float, dict[str, float]]:
        return self.run([Path(sys.executable).with_name("modelyard"), "upload", "--quiet", self.folder])

    def upload_archive(self) -> tuple[float, dict[str, float]]:
        return self.run([sys.executable, HERE / "redeploy_archive.py", self.folder])

    def forget_environments(self) -> None:
        """All but that of the first upload, and what was resolved since then."""
        environments = self.place / "data" / "environments"
        installed = [marker.parent for marker in environments.glob("*/.complete")]
        for found in (installed, environments.glob(".locks/*")):
            for one in sorted(found, key=lambda path: path.stat().st_ctime)[1:]:
                shutil.rmtree(one) if one.is_dir() else one.unlink()

    def by_hand(self) -> float:
        """The same Python, the same class, no server."""
        (environment,) = [path for path in (self.place / "data" / "environments").iterdir() if (path / "bin").is_dir()][
            :1
        ]
        (runtime,) = (self.place / "data" / "runtime").iterdir()
        sample = self.place / "sample.txt"
        sample.write_text("a text")
        command = [environment / "bin" / "python", HERE / "by_hand.py", self.folder, sample]
        began = time.monotonic()
        subprocess.run(
            command, check=True, stdout=subprocess.DEVNULL, env={"PYTHONPATH": str(runtime), "PATH": os.environ["PATH"]}
        )
        return time.monotonic() - began

    def memory_mb(self, what: str) -> float:
        """`VmRSS` or `VmHWM` of the server."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def _split(self, seen: int, began: float, ended: float) -> dict[str, float]:
        at = {"began": began, "ended": ended}
        with self.log.open() as file:
            file.seek(seen)
            for line in file:
                stamp = STAMP.match(line)
                if not stamp:
                    continue
                moment = datetime.fromisoformat(f"{stamp[1]}.{stamp[2]}+00:00")
                for event in ("build.started", "worker.started", "worker.loading", "worker.ready"):
                    if f" {event} " in line:
                        at[event] = moment.timestamp()
        steps = ["began", "build.started", "worker.started", "worker.loading", "worker.ready", "ended"]
        names = ["send", "build", "start", "load", "seen"]
        return {name: at[after] - at[before] for name, before, after in zip(names, steps, steps[1:], strict=False)}


@contextmanager
def running(place: Path) -> Iterator[Server]:
    """A server for the length of a block."""
    log = place / "server.log"
    command = [Path(sys.executable).with_name("modelyard"), "up", "--port", "0", "--data-dir", place / "data"]
    with log.open("w") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=os.environ | {"TZ": "UTC"}
        )
    try:
        assert process.stdout is not None
        if not process.stdout.readline().startswith("ready"):
            raise SystemExit(log.read_text())
        yield Server(place, process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--gib", type=int, nargs="*", default=[1, 5], help="sizes of checkpoints")
    parser.add_argument("--archive-gib", type=int, default=1, help="the largest checkpoint to send as an archive")
    parser.add_argument("--place", type=Path, help="a folder on the disk to measure")
    parser.add_argument("--docker-base", default=BASE, help="an image with Python and pip")
    parser.add_argument(
        "--only-docker", action="store_true", help="what Docker does as well, into results/redeploy-docker.md"
    )
    parser.add_argument("--dry", action="store_true", help="keep no results")
    options = parser.parse_args()
    options.no_docker = find_docker()
    if options.no_docker:
        print(f"docker build is not compared with: {options.no_docker}", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=options.place) as name, running(Path(name)) as server:
        rows = measure(server, options)
    write(rows, options)


def measure(server: Server, options: argparse.Namespace) -> list[Row]:
    first = once("first upload; packages in uv's cache", server.upload)
    hand = [server.by_hand() for _ in range(options.rounds)]
    rows = measure_docker(server, options) if options.only_docker else [first, *measure_changes(server, options)]
    rows += measure_small(server)
    for row in rows:
        row.notes["by_hand"] = statistics.median(hand)
    return rows


def measure_changes(server: Server, options: argparse.Namespace) -> list[Row]:
    """The rows of the first table, beside Docker where it does the same."""
    rows = []
    with docker_yard(server, options) as docker:
        rows += alternate(server, "an edited line", options.rounds, docker=docker)
        rows += [ask_anew(server, packages, options.rounds, docker) for packages in REQUIREMENTS]
        rows.append(once("old requirements again", lambda: restore(server)))
        for gib in options.gib:
            is_small = gib <= options.archive_gib
            write_random(server.folder / "1" / "checkpoints" / "weights.bin", gib * 1024)
            rows.append(with_memory(server, f"first upload with {gib} GiB"))
            name, yard = f"an edited line beside {gib} GiB", docker if is_small else None
            rows += alternate(server, name, options.rounds, archive_rounds=int(is_small), docker=yard)
    shutil.rmtree(server.folder / "1" / "checkpoints")
    return rows


def measure_docker(server: Server, options: argparse.Namespace) -> list[Row]:
    """The rows of the second table, without anything that takes minutes."""
    with docker_yard(server, options) as docker:
        rows = alternate(server, "an edited line", options.rounds, archive_rounds=0, docker=docker)
        rows += [ask_anew(server, packages, options.rounds, docker) for packages in REQUIREMENTS]
        restore(server)
        write_random(server.folder / "1" / "checkpoints" / "weights.bin", 1024)
        server.upload()
        name = "an edited line beside 1 GiB"
        rows += alternate(server, name, options.rounds, archive_rounds=0, docker=docker)
    shutil.rmtree(server.folder / "1" / "checkpoints")
    return rows


def measure_small(server: Server) -> list[Row]:
    rows = []
    name = f"first upload of {SMALL_FILES:,} small files"
    for which, upload in ((name, server.upload), (f"{name}, as a whole archive", server.upload_archive)):
        write_small(server.folder / "1" / "data")
        rows.append(once(which, upload))
    return rows


@contextmanager
def docker_yard(server: Server, options: argparse.Namespace) -> Iterator[DockerYard | None]:
    """Docker, with all that stays in place and a first container up; None where there is none."""
    if options.no_docker:
        yield None
        return
    (runtime,) = (server.place / "data" / "runtime").iterdir()
    place = server.place / "docker"
    yard = DockerYard(place, server.folder, runtime, base=options.docker_base, packages=REQUIREMENTS[-1])
    try:
        yard.redeploy()
        yield yard
    finally:
        yard.remove()


def ask_anew(server: Server, packages: tuple[str, ...], rounds: int, docker: DockerYard | None) -> Row:
    """Requirements that were never asked for, though their packages are in uv's cache: once to have them there, then in
    turns with Docker. Each round is another text, and the server has forgotten what it installed for the last."""
    row = Row(name=f"new requirements ({', '.join(packages)})")
    for number in range(rounds + 1):
        server.forget_environments()
        text = "".join(f"{package}\n" for package in packages)
        (server.folder / "requirements.txt").write_text(f"# {number}\n{text}")
        total, split = server.upload()
        step = docker.redeploy() if docker else None
        if number:
            row.totals.append(total)
            row.splits.append(split)
            row.docker += [step] if step else []
    return row


def once(name: str, upload: Callable[[], tuple[float, dict[str, float]]], docker: DockerYard | None = None) -> Row:
    total, split = upload()
    return Row(name=name, totals=[total], splits=[split], docker=[docker.redeploy()] if docker else [])


def restore(server: Server) -> tuple[float, dict[str, float]]:
    (server.folder / "requirements.txt").write_text("")
    return server.upload()


def alternate(
    server: Server, name: str, rounds: int, *, archive_rounds: int | None = None, docker: DockerYard | None = None
) -> list[Row]:
    """An edit by delta, one by archive and one by Docker, in turns."""
    if docker:
        docker.redeploy()  # what lies beside the code becomes a layer
    delta, archive = Row(name=name), Row(name=f"{name}, as a whole archive")
    for number in range(rounds):
        for row, upload in ((delta, server.upload), (archive, server.upload_archive)):
            if row is archive and number >= (rounds if archive_rounds is None else archive_rounds):
                continue
            server.edit()
            total, split = upload()
            row.totals.append(total)
            row.splits.append(split)
        if docker:
            server.edit()
            delta.docker.append(docker.redeploy())
    return [delta, archive] if archive.totals else [delta]


def with_memory(server: Server, name: str) -> Row:
    """The first upload of large weights, and what it takes of memory on both sides."""
    before = server.memory_mb("VmRSS")
    server.forget_peak()
    row = once(name, server.upload)
    row.notes["server_grew_mb"] = server.memory_mb("VmHWM") - before
    row.notes["client_peak_mb"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return row


def write_random(path: Path, mebibytes: int) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        for _ in range(mebibytes):
            file.write(os.urandom(MEBIBYTE))
    time.sleep(2.5)  # so that it is no longer a file that was just written


def write_small(folder: Path) -> None:
    """Many files of a few kilobytes, as a package or a data set beside the code has them; new ones each time."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for number in range(SMALL_FILES):
        (folder / f"{number}.bin").write_bytes(os.urandom(1000 + number % 5000))
    time.sleep(2.5)


def write(rows: list[Row], options: argparse.Namespace) -> None:
    """The results, for programs and for people."""
    machine = describe_machine(PACKAGES)
    results = HERE / "results"
    content = {"machine": machine, "rows": [asdict(row) for row in rows]}
    if options.dry:
        results = Path(tempfile.mkdtemp(prefix="modelyard-redeploy-"))
    stem = "redeploy-docker" if options.only_docker else "redeploy"
    (results / f"{stem}.json").write_text(json.dumps(content, indent=1) + "\n")
    lines = [INTRODUCTION.format(rounds=options.rounds)]
    for row in rows:
        total, hand = statistics.median(row.totals), row.notes["by_hand"]
        names = ("send", "build", "start", "load", "seen")
        parts = [f"{statistics.median(split[name] for split in row.splits):.2f}" for name in names]
        lines.append(f"| {row.name} | {total:.2f} | {' | '.join(parts)} | {hand:.2f} | {total / hand:.1f} |")
    lines += describe_docker(rows, options)
    lines.append("")
    for row in rows:
        if "server_grew_mb" in row.notes:
            grown, peak = row.notes["server_grew_mb"], row.notes["client_peak_mb"]
            lines.append(f"- {row.name}: the server grew by {grown:.0f} MB, the client's peak was {peak:.0f} MB")
    lines += [f"- {key}: {value}" for key, value in machine.items()]
    (results / f"{stem}.md").write_text("\n".join(lines) + "\n")
    print((results / f"{stem}.md").read_text())


def describe_docker(rows: list[Row], options: argparse.Namespace) -> list[str]:
    """The second table; why there is none where there is none."""
    if options.no_docker:
        return ["", f"Docker was not compared with: {options.no_docker}."]
    lines = [DOCKER_INTRODUCTION]
    for row in (one for one in rows if one.docker):
        ours, theirs = statistics.median(row.totals), statistics.median(one.total_s for one in row.docker)
        build, run = (statistics.median(getattr(one, part) for one in row.docker) for part in ("build_s", "run_s"))
        lines.append(f"| {row.name} | {ours:.2f} | {theirs:.2f} | {build:.2f} | {run:.2f} | {ours / theirs:.2f} |")
    return lines


if __name__ == "__main__":
    main()
