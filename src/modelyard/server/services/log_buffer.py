"""Lines of logs on their way to the store: bounded, filled from any thread, emptied by one task."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

from modelyard.server.records import LogLine, LogType

MAX_LINES = 10_000
"""Lines of one log that may wait."""
MAX_LINE_LENGTH = 8_192

_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass
class _Waiting:
    lines: deque[LogLine] = field(default_factory=deque)
    dropped: int = 0


class LogBuffer:
    """What waits, each log by itself, so that a noisy one costs no other its lines."""

    def __init__(self, *, now: Callable[[], datetime], max_lines: int = MAX_LINES) -> None:
        self._now = now
        self._max_lines = max_lines
        self._logs: dict[tuple[str, LogType], _Waiting] = {}
        self._lock = Lock()

    def append(self, version_id: str, log_type: LogType, text: str) -> None:
        """Add what a build or a worker said, one line or several. Never blocks; the oldest give way."""
        at = self._now()
        for one in text.splitlines() or [""]:
            line = LogLine(version_id=version_id, log_type=log_type, sequence=0, message=clean_line(one), created_at=at)
            with self._lock:
                waiting = self._logs.setdefault((version_id, log_type), _Waiting())
                waiting.lines.append(line)
                if len(waiting.lines) > self._max_lines:
                    waiting.lines.popleft()
                    waiting.dropped += 1

    def take(self) -> list[LogLine]:
        """Everything that waits, in order; a line in the place of dropped ones says how many they were."""
        with self._lock:
            logs, self._logs = self._logs, {}
        taken: list[LogLine] = []
        for (version_id, log_type), waiting in logs.items():
            if waiting.dropped:
                taken.append(self._report(version_id, log_type, waiting.dropped))
            taken.extend(waiting.lines)
        return taken

    def put_back(self, lines: Sequence[LogLine]) -> None:
        """Lines that were taken but could not be written wait again, before those that came since."""
        with self._lock:
            for line in reversed(lines):
                waiting = self._logs.setdefault((line.version_id, line.log_type), _Waiting())
                if len(waiting.lines) < self._max_lines:
                    waiting.lines.appendleft(line)
                else:
                    waiting.dropped += 1

    def _report(self, version_id: str, log_type: LogType, dropped: int) -> LogLine:
        noun = "line was" if dropped == 1 else "lines were"
        message = f"[{dropped} {noun} dropped here: they came faster than they could be written]"
        return LogLine(version_id=version_id, log_type=log_type, sequence=0, message=message, created_at=self._now())


def clean_line(text: str) -> str:
    """A line that is safe to show in a terminal or a page: no colours, no control characters, not too long."""
    text = _ESCAPES.sub("", text)
    text = _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
    if len(text) > MAX_LINE_LENGTH:
        return f"{text[:MAX_LINE_LENGTH]} [{len(text) - MAX_LINE_LENGTH} more characters]"
    return text
