"""After a start that failed: which changed files somebody saved since, and which the failed process itself wrote."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

SETTINGS = frozenset({"requirements.txt", "config.yaml"})


@dataclass
class FailedStart:
    """One start. What it wrote until it failed is no reason to try again, or it would be tried for ever.

    Code and settings count from when it began, since nobody but an author writes those; anything else from its end.
    """

    folder: Path
    began_ns: int = field(default_factory=time.time_ns)
    failed_ns: int = 0

    def fail(self) -> None:
        """It failed now."""
        self.failed_ns = time.time_ns()

    def list_saved_since(self, paths: Iterable[str]) -> frozenset[str]:
        """Of changed files (relative to the folder), those that may make another start come out otherwise."""
        return frozenset(path for path in paths if self._is_saved_since(path))

    def _is_saved_since(self, path: str) -> bool:
        is_code = path in SETTINGS or path.endswith(".py")
        try:
            found = (self.folder / path).stat()
        except OSError:
            return is_code
        return max(found.st_mtime_ns, found.st_ctime_ns) > (self.began_ns if is_code else self.failed_ns)
