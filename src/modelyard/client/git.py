"""Which commit a folder is of, where it is in a git repository. Nothing here needs git, or fails without it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 2.0
QUIET = {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


@dataclass(frozen=True, kw_only=True)
class Commit:
    """The commit that is checked out."""

    commit: str
    branch: str
    """Empty where none is checked out."""
    is_clean: bool
    """Is the folder as the commit has it?"""


def read_commit(folder: Path) -> Commit | None:
    """The commit of a folder; None where it is in no repository, or git is not there."""
    commit = _ask(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    if not commit:
        return None
    branch = _ask(folder, "symbolic-ref", "--short", "--quiet", "HEAD")
    changes = _ask(folder, "status", "--porcelain", "--", ".")
    return Commit(commit=commit, branch=branch or "", is_clean=changes == "")


def _ask(folder: Path, *arguments: str) -> str | None:
    """What git says; None where it says nothing of use. A repository's own hooks and monitors do not run."""
    command = ["git", "-C", str(folder), "-c", "core.fsmonitor=false", *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env={**os.environ, **QUIET}
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
