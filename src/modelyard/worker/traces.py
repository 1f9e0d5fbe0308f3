"""Tells an author what went wrong in their own words and lines: frames of ours and of libraries are left out."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SELF = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - compared with frames' file names as they are


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """An exception, told."""

    what: str
    """`ValueError: no such label`"""
    file: str
    """The author's file, relative to the folder: `1/model.py`; empty where no frame is theirs."""
    line: int
    function: str
    details: str
    """The traceback, trimmed to the author's frames."""

    @property
    def place(self) -> str:
        """`1/model.py line 31`, or nothing."""
        return f"{self.file} line {self.line}" if self.file else ""


def tell(error: BaseException, folder: Path) -> Trouble:
    """Describe an exception that the code in `folder` caused. Never raises, whatever the exception's `__str__` does."""
    story = traceback.TracebackException.from_exception(error)
    _trim(story, os.path.realpath(folder), set())
    last = story.stack[-1] if story.stack else None
    file, line, function = (last.filename, last.lineno or 0, last.name) if last else ("", 0, "")
    if isinstance(error, SyntaxError) and error.filename:
        inside = _relative(error.filename, os.path.realpath(folder))
        if inside:
            file, line, function = inside, error.lineno or 0, "<module>"
    what = "".join(_name_it(error)).strip()
    return Trouble(what=what, file=file, line=line, function=function, details="".join(story.format()))


def _name_it(error: BaseException) -> Iterator[str]:
    if isinstance(error, SyntaxError):
        yield f"{type(error).__name__}: {error.msg}"
    else:
        yield from traceback.TracebackException(type(error), error, None, compact=True).format_exception_only()


def _trim(story: traceback.TracebackException, folder: str, seen: set[int]) -> None:
    if id(story) in seen:
        return
    seen.add(id(story))
    theirs = [(frame, _relative(frame.filename, folder)) for frame in story.stack]
    story.stack = traceback.StackSummary.from_list(
        [
            traceback.FrameSummary(name, frame.lineno, frame.name, lookup_line=False, line=frame.line)
            for frame, name in theirs
            if name
        ]
    )
    if getattr(story, "filename", None):  # of a SyntaxError: where it is
        story.filename = _relative(story.filename, folder) or story.filename
    for other in (story.__cause__, story.__context__, *(getattr(story, "exceptions", None) or ())):
        if other is not None:
            _trim(other, folder, seen)


def _relative(filename: str, folder: str) -> str:
    """The file's name below the folder; nothing for a file that is not the author's, or for none (`<frozen ..>`)."""
    if filename.startswith("<"):
        return ""
    path = os.path.realpath(filename)
    if not path.startswith(folder + os.sep) or path.startswith(_SELF):
        return ""
    return path[len(folder) + 1 :]
