"""The server's own log: one line an event on stderr, `key=value` fields, control characters escaped."""

from __future__ import annotations

import logging
import sys

FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Keep tracebacks, but let no message start a line of its own."""
        record.msg = "".join(c if c.isprintable() else repr(c)[1:-1] for c in record.getMessage())
        record.args = None
        return super().format(record)


def set_up_logging(level: int = logging.INFO) -> None:
    """Send the house's log to stderr; libraries speak from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine(FORMAT))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("modelyard").setLevel(level)
