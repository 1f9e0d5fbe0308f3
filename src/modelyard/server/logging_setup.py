"""The server's own log on stderr: one line an event, `key=value` fields, control characters escaped; or one JSON object
a line.

As text, a traceback follows its event, indented: no line of it can be taken for an event, whatever an exception says.
"""

from __future__ import annotations

import copy
import json
import logging
import re
import sys
import textwrap
from datetime import UTC, datetime

_PAIR = re.compile(r"""(?<=\s)([a-z_]+)=('[^']*'|"[^"]*"|\S+)""")
FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Let nothing that is logged start a line of its own. The record is others' too, and stays as it is."""
        shown = copy.copy(record)
        shown.msg = _escape(record.getMessage())
        shown.args = shown.exc_text = shown.stack_info = None
        shown.exc_info = None
        lines = super().format(shown)
        if record.exc_info:
            lines += "\n" + _indent(self.formatException(record.exc_info))
        if record.stack_info:
            lines += "\n" + _indent(self.formatStack(record.stack_info))
        return lines


def _escape(text: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _indent(text: str) -> str:
    return textwrap.indent("\n".join(_escape(line) for line in text.splitlines()), "    ", lambda _line: True)


class _JsonLine(logging.Formatter):
    """The event's own `key=value` pairs are keys of the object."""

    def format(self, record: logging.LogRecord) -> str:
        """One object, in one line: JSON escapes what could start another."""
        message = record.getMessage()
        told: dict[str, object] = {name: _unquote(value) for name, value in _PAIR.findall(message)}
        told |= {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "event": message.partition(" ")[0],
            "message": message,
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            told["stack"] = record.stack_info
        return json.dumps(told)


def _unquote(value: str) -> str:
    return value[1:-1] if value[:1] in ("'", '"') else value


def set_up_logging(level: int = logging.INFO, *, as_json: bool = False) -> None:
    """Send the house's log to stderr; libraries speak from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLine() if as_json else _OneLine(FORMAT))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("modelyard").setLevel(level)
