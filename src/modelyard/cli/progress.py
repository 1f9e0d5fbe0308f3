"""A download that somebody watches: lines as they come, and below them a bar while bytes flow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from modelyard.cli.output import is_watched

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

SHOWN_NAME = 40


@dataclass(frozen=True, kw_only=True)
class Watching:
    """Where a download tells how it goes."""

    tell: Callable[[str], None]
    """Takes a line."""
    progress: Callable[[int, int, str], None] | None
    """Takes bytes done, bytes in all and a file's path; None where nobody watches, so that lines say it instead."""


@contextmanager
def watch_download(console: Console | None = None) -> Iterator[Watching]:
    """Draw on stderr, on a terminal; elsewhere lines only. The bar appears with the first byte and goes at the end.

    Args:
        console: Draw there, whatever it is.
    """
    if console is None and not is_watched():
        yield Watching(tell=lambda line: click.echo(line, err=True), progress=None)
        return
    # rich is slow to import and draws on terminals only.
    from rich.console import Console

    with _make_progress(console or Console(stderr=True)) as progress:
        bar = DownloadBar(progress)
        yield Watching(tell=bar.tell, progress=bar.advance)


class DownloadBar:
    """A download in a display that may have other bars."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def tell(self, line: str) -> None:
        """Print a line above the bars; warnings stand out."""
        from rich.text import Text  # as above

        style = "yellow" if line.lower().startswith("warning:") else ""
        self._progress.console.print(Text(line, style=style), highlight=False, soft_wrap=True)

    def advance(self, bytes_done: int, bytes_total: int, file: str) -> None:
        """So much is there. What was there at the first call does not count as fast."""
        name = _shorten(file) or "Downloading"
        if self._task is None:
            self._task = self._progress.add_task(name, total=bytes_total, completed=bytes_done)
        self._progress.update(self._task, completed=bytes_done, total=bytes_total, description=name)
        if bytes_done >= bytes_total:
            self._progress.remove_task(self._task)
            self._task = None


def _make_progress(console: Console) -> Progress:
    from rich import progress as parts  # as above
    from rich.table import Column

    return parts.Progress(
        parts.TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
        parts.BarColumn(),
        parts.DownloadColumn(),
        parts.TransferSpeedColumn(),
        parts.TimeRemainingColumn(compact=True),
        console=console,
        transient=True,
    )


def _shorten(path: str) -> str:
    return path if len(path) <= SHOWN_NAME else f"...{path[3 - SHOWN_NAME :]}"
