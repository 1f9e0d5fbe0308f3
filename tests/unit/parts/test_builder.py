"""Running uv: a clean environment, clean lines, an end at any moment. A script stands in for uv."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from pathlib import Path

import pytest

from modelyard.errors import BuildFailed, Cancelled
from modelyard.parts.builder import Builder, BuilderSettings

OPERATOR = {
    "PIP_CONFIG_FILE": "/dev/null",
    "CLARIFAI_PAT": "pat-of-the-operator",
    "AWS_SECRET_ACCESS_KEY": "key-of-the-operator",
    "PYTHONDONTWRITEBYTECODE": "1",
    "UV_INDEX_INNER_PASSWORD": "for-the-index",
    "https_proxy": "http://proxy:1",
    "HOME": "/home/operator",
    "PATH": "/operator/bin",
}


def make_builder(tmp_path: Path, script: str, *, timeout_s: float = 30.0) -> Builder:
    uv = tmp_path / "uv"
    uv.write_text(f"#!/bin/sh\n{script}\n")
    uv.chmod(0o755)
    return Builder(BuilderSettings(uv=uv, environ=OPERATOR, timeout_s=timeout_s), tmp_path / "home")


def test_no_secret_reaches_the_build(tmp_path: Path) -> None:
    done = make_builder(tmp_path, "env").run([], cwd=tmp_path)
    variables = dict(line.split("=", 1) for line in done.output.splitlines() if "=" in line)
    assert "-of-the-operator" not in done.output
    assert "PYTHONDONTWRITEBYTECODE" not in variables
    assert variables["HOME"] == str(tmp_path / "home")
    assert variables["PATH"].startswith("/usr/local/sbin")
    assert variables["https_proxy"] == "http://proxy:1"
    assert variables["UV_INDEX_INNER_PASSWORD"] == "for-the-index"
    assert variables["UV_PYTHON_DOWNLOADS"] == "never"


def test_lines_reach_the_log_clean_and_the_last_without_its_end(tmp_path: Path) -> None:
    lines: list[str] = []
    script = r"printf '\033[1mResolved\033[0m 3\n\n \033]8;;x\007+ six\r\nlast' >&2; exit 3"
    done = make_builder(tmp_path, script).run([], cwd=tmp_path, log=lines.append)
    assert lines == ["Resolved 3", " + six", "last"]
    assert (done.exit_code, done.tail) == (3, ("Resolved 3", " + six", "last"))


def test_lines_come_while_uv_runs(tmp_path: Path) -> None:
    seen = threading.Event()
    script = f"echo first >&2; while [ ! -e {tmp_path}/go ]; do sleep 0.01; done; echo second >&2"

    def take(line: str) -> None:
        if line == "first":
            seen.set()
            (tmp_path / "go").touch()

    assert make_builder(tmp_path, script).run([], cwd=tmp_path, log=take).tail == ("first", "second")
    assert seen.is_set()


def test_stop_ends_uv_and_everything_that_it_started(tmp_path: Path) -> None:
    stop = threading.Event()
    pids: list[int] = []

    def take(line: str) -> None:
        pids.append(int(line))
        if len(pids) == 2:
            stop.set()

    script = "sleep 60 & echo $! >&2; echo $$ >&2; wait"
    with pytest.raises(Cancelled):
        make_builder(tmp_path, script).run([], cwd=tmp_path, log=take, stop=stop)
    deadline = time.monotonic() + 5
    while any(is_running(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(is_running(pid) for pid in pids)


def test_a_lock_is_held_as_long_as_uv_runs_though_who_started_it_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    held = path.open("w")
    fcntl.flock(held, fcntl.LOCK_EX)
    script = f"echo begun >&2; while [ ! -e {tmp_path}/go ]; do sleep 0.01; done"
    begun = threading.Event()

    def run() -> None:
        make_builder(tmp_path, script).run([], cwd=tmp_path, log=lambda _: begun.set(), held=held)

    thread = threading.Thread(target=run)
    thread.start()
    assert begun.wait(20)
    held.close()
    with path.open("w") as other:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (tmp_path / "go").touch()
        thread.join(20)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_build_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match=r"longer than 0\.2 s"):
        make_builder(tmp_path, "sleep 60", timeout_s=0.2).run([], cwd=tmp_path)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path("/proc", str(pid), "stat").read_text().rsplit(")", 1)[1].split()[0]
