"""The builder: runs uv in a clean environment, line by line into a log, stoppable at any moment."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import uv

from modelyard.errors import BuildFailed, Cancelled
from modelyard.parts.indexes import Indexes, read_indexes

Log = Callable[[str], None]
"""Takes one line, without its end. Called from the thread that builds."""

TIMEOUT_S = 30 * 60.0
POLL_S = 0.1
KEPT_LINES = 60
MAX_LINE = 2000
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f]")
_KEPT = frozenset({
    "LANG", "LC_ALL", "TZ", "SSL_CERT_DIR", "http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY",
    "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "UV_CACHE_DIR", "UV_HTTP_TIMEOUT", "UV_OFFLINE", "UV_NATIVE_TLS",
    "UV_SYSTEM_CERTS", "UV_INSECURE_HOST", "UV_KEYRING_PROVIDER", "UV_CONFIG_FILE", "UV_CONCURRENT_DOWNLOADS",
    "UV_CONCURRENT_BUILDS", "UV_CONCURRENT_INSTALLS", "UV_LINK_MODE", "UV_EXCLUDE_NEWER", "UV_NO_BUILD",
    "CUDA_HOME", "CC", "CXX",
})  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class BuilderSettings:
    """How environments are built."""

    uv: Path = field(default_factory=lambda: Path(uv.find_uv_bin()))
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    """The operator's variables; only what the builder needs of them goes further."""
    timeout_s: float = TIMEOUT_S
    """For resolving and for installing, each."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """How a run of uv ended."""

    exit_code: int
    output: str
    """What went to standard output, whole."""
    tail: tuple[str, ...]
    """The last lines of what it reported."""


class Builder:
    """Runs uv. `home` is a scratch folder that holds its cache and stands in for the operator's home folder."""

    def __init__(self, settings: BuilderSettings, home: Path) -> None:
        self._settings = settings
        self._home = home
        self.indexes = read_indexes(settings.environ)

    @property
    def environ(self) -> Mapping[str, str]:
        """The operator's variables."""
        return self._settings.environ

    def run(
        self,
        arguments: list[str],
        *,
        cwd: Path,
        log: Log | None = None,
        indexes: Indexes | None = None,
        path: str = SYSTEM_PATH,
        stop: threading.Event | None = None,
        held: IO[str] | None = None,
    ) -> Finished:
        """Run `uv ARGUMENTS`; blocking. A failure of uv is in the exit code, not an error.

        Args:
            arguments: After `uv`.
            cwd: Where; what it prints is kept there, too.
            log: Takes each line that it reports.
            indexes: Where packages come from, if not from where the operator has them.
            path: What it finds other programs by.
            stop: Set from another thread, it ends the run.
            held: A locked file that stays locked as long as uv runs, also where this process is killed.

        Raises:
            Cancelled: `stop` was set; all of uv's processes are gone.
            BuildFailed: It took longer than the settings allow.
        """
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        output = (cwd / "uv.out").open("w+b")
        with (
            output,
            subprocess.Popen(
                [str(self._settings.uv), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.PIPE,
                cwd=cwd,
                env=self._make_environment(indexes or self.indexes, path),
                start_new_session=True,
                pass_fds=() if held is None else (held.fileno(),),
            ) as process,
        ):
            lines = _Lines(log)
            try:
                self._follow(process, lines, stop)
            except BaseException:
                _kill_group(process)
                raise
            exit_code = process.wait()
            output.seek(0)
            return Finished(exit_code=exit_code, output=output.read().decode(errors="replace"), tail=lines.tail)

    def _follow(self, process: subprocess.Popen[bytes], lines: _Lines, stop: threading.Event | None) -> None:
        """Read what uv reports until it has closed it, looking at `stop` and the clock on the way."""
        assert process.stderr is not None
        deadline = time.monotonic() + self._settings.timeout_s
        with selectors.DefaultSelector() as selector:
            selector.register(process.stderr, selectors.EVENT_READ)
            while True:
                if stop is not None and stop.is_set():
                    raise Cancelled("the build was stopped")
                if time.monotonic() > deadline:
                    raise BuildFailed(f"the build took longer than {self._settings.timeout_s:g} s and was ended")
                if selector.select(POLL_S):
                    block = os.read(process.stderr.fileno(), 65536)
                    if not block:
                        return lines.close()
                    lines.feed(block)

    def _make_environment(self, indexes: Indexes, path: str) -> dict[str, str]:
        operator = self._settings.environ
        kept = {
            name: value for name, value in operator.items() if value and (name in _KEPT or name.startswith("UV_INDEX_"))
        }
        for name in ("UV_INDEX_URL", "UV_INDEX_STRATEGY"):
            kept.pop(name, None)
        own = {
            "PATH": path,
            "HOME": str(self._home),
            "NO_COLOR": "1",
            "UV_NO_PROGRESS": "1",
            "UV_PYTHON_DOWNLOADS": "never",
            **_find_uv_folders(operator),
        }
        if "PIP_DEFAULT_TIMEOUT" in operator:
            kept.setdefault("UV_HTTP_TIMEOUT", operator["PIP_DEFAULT_TIMEOUT"])
        kept.setdefault("UV_CACHE_DIR", str(self._home / "cache"))
        return kept | own | indexes.to_environment()


class _Lines:
    """Cuts a stream of bytes into clean lines."""

    def __init__(self, log: Log | None) -> None:
        self._log = log
        self._rest = b""
        self._tail: deque[str] = deque(maxlen=KEPT_LINES)

    @property
    def tail(self) -> tuple[str, ...]:
        return tuple(self._tail)

    def feed(self, block: bytes) -> None:
        *whole, self._rest = (self._rest + block).split(b"\n")
        for line in whole:
            self._take(line)

    def close(self) -> None:
        if self._rest:
            self._take(self._rest)
        self._rest = b""

    def _take(self, raw: bytes) -> None:
        line = clean_line(raw.decode(errors="replace"))
        if line.strip():
            self._tail.append(line)
            if self._log is not None:
                self._log(line)


def clean_line(line: str) -> str:
    """Without colours, control characters and what is too long for a log."""
    return _ANSI.sub("", line).rstrip()[:MAX_LINE]


def _find_uv_folders(operator: Mapping[str, str]) -> dict[str, str]:
    """The operator's own uv settings file and Python versions, which lie below the home folder that uv does not see."""
    found = {}
    home = Path(operator.get("HOME") or "/nonexistent")
    data = Path(operator.get("XDG_DATA_HOME") or home / ".local" / "share")
    config = Path(operator.get("XDG_CONFIG_HOME") or home / ".config", "uv", "uv.toml")
    found["UV_PYTHON_INSTALL_DIR"] = operator.get("UV_PYTHON_INSTALL_DIR") or str(data / "uv" / "python")
    if "UV_CONFIG_FILE" not in operator and config.is_file():
        found["UV_CONFIG_FILE"] = str(config)
    return found


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End uv and whatever it has started: they are a session of their own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()
