"""Seconds from the command to the checked answer: `modelyard run` beside `python -m venv`, pip and a script by hand.

Both install the same requirements into an environment of their own, load the same folder and predict the same input.
Rounds alternate between the two. Three states: `cold` (no package was ever downloaded), `packages` (downloaded before,
no environment) and `again` (the environment is there). Writes results/local_run.json and .md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from machine import describe_machine

from modelyard.parts.launch import stage_runtime

HERE = Path(__file__).parent
ROOT = HERE.parent
STATES = ("cold", "packages", "again")
PACKAGES = ("uv", "clarifai-grpc")
INTRODUCTION = """\
# Trying a folder on the author's machine

Made by `script/bench local-run`: medians of {rounds} rounds ({cold_rounds} of `cold`), alternating between the two.
Seconds from the command to the answer. `modelyard run` checks the folder, makes the isolated environment, starts the
worker, loads the model, asks each of its methods and checks the answers. By hand: `python -m venv`, `pip install -r
requirements.txt clarifai-grpc PyYAML`, and a script that imports the class, loads it and predicts once.

- `cold`: no package was downloaded before. Package registry over the network, so this one varies with it.
- `packages`: all packages are in uv's or pip's cache; the environment is made anew.
- `again`: the environment is there. The second run of every day.

| folder | state | modelyard run, s | by hand, s | by hand / modelyard |
|---|---|---:|---:|---:|"""


@dataclass(frozen=True)
class Folder:
    """A model folder, and an input that fits it."""

    name: str
    path: Path
    sample: Path
    option: str


def train_digits(place: Path) -> Path:
    """The example of digits as its README has it made: a copy, with a checkpoint."""
    folder = Path(shutil.copytree(ROOT / "examples" / "digits", place / "digits"))
    command: list[Any] = [Path(sys.executable).with_name("uv"), "run", "--quiet", "--no-project", "--python", "3.11"]
    _run(
        [*command, "--with-requirements", folder / "requirements-train.txt", "python", folder / "train.py"],
        dict(os.environ),
    )
    return folder


class Modelyard:
    """`modelyard run`, with a cache of its own."""

    def __init__(self, root: Path) -> None:
        self._cache = root / "cache"

    def prepare(self, state: str) -> None:
        if state == "cold":
            shutil.rmtree(self._cache, ignore_errors=True)
        elif state == "packages":
            for path in (self._cache / "environments").iterdir():
                if not path.name.startswith("."):
                    shutil.rmtree(path)

    def run(self, folder: Folder) -> None:
        command = [Path(sys.executable).with_name("modelyard"), "run", folder.path, folder.option, folder.sample]
        if folder.option == "--text":
            command[-1] = folder.sample.read_text().strip()
        _run(command, os.environ | {"MODELYARD_CACHE_DIR": str(self._cache)})


class ByHand:
    """venv, pip, a script."""

    def __init__(self, root: Path) -> None:
        self._venv = root / "venv"
        self._pip_cache = root / "pip-cache"
        self._runtime = stage_runtime(root / "runtime")

    def prepare(self, state: str) -> None:
        if state == "cold":
            shutil.rmtree(self._pip_cache, ignore_errors=True)
        if state != "again":
            shutil.rmtree(self._venv, ignore_errors=True)

    def run(self, folder: Folder) -> None:
        environment = os.environ | {"PIP_CACHE_DIR": str(self._pip_cache), "PYTHONPATH": str(self._runtime)}
        python = self._venv / "bin" / "python"
        if not python.exists():
            _run([sys.executable, "-m", "venv", self._venv], environment)
            install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            _run([*install, "-r", folder.path / "requirements.txt", "clarifai-grpc", "PyYAML"], environment)
        _run([python, HERE / "by_hand.py", folder.path, folder.sample], environment)


def _run(command: list[Any], environment: dict[str, str]) -> None:
    done = subprocess.run([str(one) for one in command], env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{command} failed:\n{done.stdout}\n{done.stderr}")


def measure(folder: Folder, rounds: int, cold_rounds: int) -> list[dict[str, Any]]:
    """All measurements of one folder."""
    measured = []
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as name:
        ways: dict[str, Any] = {"modelyard": Modelyard(Path(name) / "a"), "by_hand": ByHand(Path(name) / "b")}
        for state in STATES:
            for number in range(cold_rounds if state == "cold" else rounds):
                order = list(ways) if number % 2 == 0 else list(reversed(ways))
                for way in order:
                    ways[way].prepare(state)
                    seconds = _time(lambda way=way: ways[way].run(folder))  # type: ignore[misc]
                    measured.append({"folder": folder.name, "state": state, "way": way, "seconds": seconds})
                    print(f"{folder.name:12} {state:9} {way:10} {seconds:6.2f} s", flush=True)
    return measured


def _time(work: Callable[[], None]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def take_medians(measured: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a folder and state."""
    rows = []
    for folder in dict.fromkeys(one["folder"] for one in measured):
        for state in STATES:
            row: dict[str, Any] = {"folder": folder, "state": state}
            for way in ("modelyard", "by_hand"):
                found = [one for one in measured if (one["folder"], one["state"], one["way"]) == (folder, state, way)]
                row[way] = statistics.median(one["seconds"] for one in found)
            row["ratio"] = row["by_hand"] / row["modelyard"]
            rows.append(row)
    return rows


def render(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    lines = [INTRODUCTION.format(rounds=report["rounds"], cold_rounds=report["cold_rounds"])]
    lines += [
        f"| {row['folder']} | {row['state']} | {row['modelyard']:.2f} | {row['by_hand']:.2f} | {row['ratio']:.1f} |"
        for row in report["medians"]
    ]
    return "\n".join([*lines, "", *(f"- {name}: {value}" for name, value in report["machine"].items()), ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cold-rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="modelyard-bench-") as place:
        digits = train_digits(Path(place))
        folders = (
            Folder("string-cat", HERE / "string-cat", HERE / "string-cat" / "sample.txt", "--text"),
            Folder("digits", digits, digits / "samples" / "3.png", "--image"),
        )
        measured = [one for folder in folders for one in measure(folder, options.rounds, options.cold_rounds)]
    report = {
        "rounds": options.rounds,
        "cold_rounds": options.cold_rounds,
        "machine": describe_machine(PACKAGES),
        "medians": take_medians(measured),
        "measured": measured,
    }
    results = HERE / "results"
    (results / "local_run.json").write_text(json.dumps(report, indent=1) + "\n")
    (results / "local_run.md").write_text(render(report))
    print(render(report))


if __name__ == "__main__":
    main()
