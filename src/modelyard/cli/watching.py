"""`modelyard run DIR --watch`: the test requests again after every save, on the model that is loaded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue

import click

from modelyard.cli.reloads import describe_failure, describe_reload
from modelyard.errors import ModelyardError
from modelyard.local.run import Report, run_session
from modelyard.local.session import Options, Session, open_session
from modelyard.local.watch import watch_folder
from modelyard.parts.saves import FailedStart
from modelyard.wire.reload import KEPT, RESTART, SAME, START_FILES, Reloaded

Tell = Callable[[str], None]
Show = Callable[[Report], None]


def watch(folder: Path, options: Options, tell: Tell, show: Show) -> None:
    """Test a folder now and after every save, until Ctrl-C."""
    try:
        with _Saves.listen(folder) as saves:
            _Watching(folder, options, tell, show, saves).run()
    except KeyboardInterrupt:
        click.echo("", err=True)


class _Watching:
    def __init__(self, folder: Path, options: Options, tell: Tell, show: Show, saves: _Saves) -> None:
        self._folder = folder
        self._options = options
        self._tell = tell
        self._show = show
        self._saves = saves

    def run(self) -> None:
        """Load, test, and load again whenever the loaded model cannot take what was saved."""
        while True:
            self._load()

    def _load(self) -> None:
        attempt = FailedStart(folder=self._folder)
        try:
            with open_session(self._folder, self._options, tell_build=self._tell, tell_line=self._tell) as session:
                self._test_until_restart(session)
        except ModelyardError as error:
            attempt.fail()
            self._say(describe_failure(error, "the next save is waited for"))
            while not attempt.list_saved_since(self._saves.wait()):
                pass

    def _test_until_restart(self, session: Session) -> None:
        """Test after each save, as long as the loaded model can take them."""
        self._test(session)
        pending: frozenset[str] = frozenset()
        while True:
            pending |= self._saves.wait()
            began = time.monotonic()
            told = _ask(session, pending)
            if line := describe_reload(pending, told, time.monotonic() - began):
                self._say(line)
            if told.outcome == RESTART:
                return
            if told.outcome in (KEPT, SAME):
                pending = frozenset()
            if told.outcome == KEPT:
                self._test(replace(session, methods=told.methods))

    def _test(self, session: Session) -> None:
        report = run_session(session, self._options.inputs)
        self._show(report)
        if report.error:
            self._say(click.style(f"failed: {report.error.message}", fg="red"))
            if report.error.hint:
                click.echo(f"  {report.error.hint}", err=True)

    def _say(self, line: str) -> None:
        click.echo(f"{time.strftime('%H:%M:%S')}  {line}", err=True)


def _ask(session: Session, paths: frozenset[str]) -> Reloaded:
    if decisive := sorted(paths & START_FILES):
        return Reloaded(outcome=RESTART, message=f"{' and '.join(decisive)} changed")
    return session.link.reload(paths)


class _Saves:
    """What is saved while something else goes on."""

    def __init__(self) -> None:
        self._found: SimpleQueue[frozenset[str] | ModelyardError] = SimpleQueue()

    @classmethod
    @contextmanager
    def listen(cls, folder: Path) -> Iterator[_Saves]:
        """From now on, in a thread of its own."""
        saves, stop = cls(), threading.Event()
        thread = threading.Thread(target=saves._run, args=(folder, stop), name="saves", daemon=True)
        thread.start()
        try:
            yield saves
        finally:
            stop.set()
            thread.join()

    def wait(self) -> frozenset[str]:
        """The files that were saved since the last call, at least one. Raises InternalError where nothing is told."""
        paths: frozenset[str] = frozenset()
        while not paths or not self._found.empty():
            found = self._found.get()
            if isinstance(found, ModelyardError):
                raise found
            paths |= found
        return paths

    def _run(self, folder: Path, stop: threading.Event) -> None:
        try:
            for paths in watch_folder(folder, stop):
                self._found.put(paths)
        except ModelyardError as error:
            self._found.put(error)
