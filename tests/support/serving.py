"""`modelyard run DIR --serve` in its own process, as an author has it in a terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.server import CACHE

TIMEOUT_S = 60.0


def save(path: Path, text: str) -> None:
    """As editors do, by renaming: nobody sees half a file."""
    path.with_name(f"{path.name}~").write_text(text)
    path.with_name(f"{path.name}~").replace(path)


class Terminal:
    """One process of the command line: what it prints, as it comes."""

    def __init__(self, *arguments: str | Path, cache_dir: Path, temp_dir: Path | None = None) -> None:
        if temp_dir is not None:
            temp_dir.mkdir(exist_ok=True)
        self.environ = {
            **os.environ,
            "UV_CACHE_DIR": str(CACHE / "uv"),
            "MODELYARD_CACHE_DIR": str(cache_dir),
            "PYTHONUNBUFFERED": "1",
            "PYTHONFAULTHANDLER": "1",
            **({"TMPDIR": str(temp_dir)} if temp_dir else {}),
        }
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._changed = threading.Condition()
        self.process = subprocess.Popen(
            # What a shell starts in the background ignores Ctrl-C, and so do its children; a terminal's do not. `env`
            # sees to it: a function that ran between fork and exec would hang, now and then, beside gRPC's threads.
            ["env", "--default-signal=INT", sys.executable, "-m", "modelyard.cli.main", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environ,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read, args=(pipe, lines), daemon=True)
            for pipe, lines in ((self.process.stdout, self.lines), (self.process.stderr, self.errors))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, pipe: Iterator[str], lines: list[str]) -> None:
        for line in pipe:
            with self._changed:
                lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, text: str, *, times: int = 1) -> str:
        """The line that has this text, on stdout or stderr, once so many have."""

        def find() -> list[str]:
            return [line for line in (*self.lines, *self.errors) if text in line]

        with self._changed:
            self._changed.wait_for(lambda: len(find()) >= times or not self._is_reading(), TIMEOUT_S)
            found = find()
        assert len(found) >= times, "\n".join([f"{text!r} was not printed:", *self.lines, *self.errors])
        return found[times - 1]

    def _is_reading(self) -> bool:
        return self.process.poll() is None or any(reader.is_alive() for reader in self._readers)

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.end()

    def end(self) -> int:
        """Wait for its end; the exit code."""
        try:
            code = self.process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # where it stands is printed
            self.process.wait(TIMEOUT_S)
            self._readers[1].join(5)
            raise AssertionError("\n".join(["it did not end:", *self.errors])) from None
        for reader in self._readers:
            reader.join(5)
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        return code


class ServedFolder(Terminal):
    """A folder that is served, and how to talk to it: `support.server.V2` takes it for a server."""

    def __init__(self, folder: Path, *arguments: str, cache_dir: Path, temp_dir: Path | None = None) -> None:
        super().__init__(
            *("run", folder, "--serve", "--port", "0", "--json", *arguments), cache_dir=cache_dir, temp_dir=temp_dir
        )
        self.folder = folder
        said = json.loads(self.wait_for('"url"'))
        self.url: str = said["url"]
        self.address = self.url.removeprefix("http://")
        self.token: str = said["token"]
        self.user_id: str = said["user_id"]

    def save(self, before: str, after: str, name: str = "1/model.py") -> None:
        """Edit a file."""
        path = self.folder / name
        text = path.read_text()
        assert before in text
        save(path, text.replace(before, after))


@contextmanager
def served_folder(
    folder: Path, *arguments: str, cache_dir: Path, temp_dir: Path | None = None
) -> Iterator[ServedFolder]:
    """A folder served for the length of a block; ended by Ctrl-C unless the block did."""
    one = ServedFolder(folder, *arguments, cache_dir=cache_dir, temp_dir=temp_dir)
    try:
        yield one
    finally:
        if one.process.poll() is None:
            assert one.interrupt() == 0, one.errors
