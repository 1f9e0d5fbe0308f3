"""The server's log: nobody but the server starts a line."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest

from modelyard.server.logging_setup import set_up_logging


@pytest.fixture
def written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the log writes. The root logger is put back afterwards."""
    root, house = logging.getLogger(), logging.getLogger("modelyard")
    before = (list(root.handlers), root.level, house.level)
    root.handlers = []
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    set_up_logging(as_json=getattr(request, "param", False))
    yield stream
    root.handlers, level, house_level = before
    root.setLevel(level)
    house.setLevel(house_level)


FORGED = "a\n2026-01-01 INFO forged\r\x1b[2Jb\u2028c\x85d"


def test_a_message_is_one_line_whatever_it_holds(written: io.StringIO) -> None:
    logging.getLogger("modelyard.x").warning("user=%s 100%%", FORGED)
    (line,) = written.getvalue().splitlines()
    assert line.endswith(r"WARNING modelyard.x user=a\n2026-01-01 INFO forged\r\x1b[2Jb\u2028c\x85d 100%")


def test_text_for_people_is_left_alone(written: io.StringIO) -> None:
    logging.getLogger("modelyard").info("é 日本 100% {x}")
    assert written.getvalue().endswith("INFO modelyard é 日本 100% {x}\n")


def test_no_line_of_a_traceback_can_be_taken_for_an_event(written: io.StringIO) -> None:
    try:
        raise ValueError(FORGED)
    except ValueError:
        logging.getLogger("modelyard").exception("failed", stack_info=True)
    first, *rest = written.getvalue().splitlines()
    assert first.endswith("ERROR modelyard failed")
    assert any("ValueError: a" in line for line in rest)
    assert any("forged" in line for line in rest)
    assert any("Stack (most recent call last)" in line for line in rest)
    assert all(line.startswith("    ") for line in rest)
    assert "\x1b" not in written.getvalue()


def test_the_record_stays_as_it_is_for_other_handlers(written: io.StringIO) -> None:
    seen: list[logging.LogRecord] = []
    other = logging.Handler()
    other.emit = seen.append  # type: ignore[method-assign]
    logging.getLogger().addHandler(other)
    logging.getLogger("modelyard").info("one %s", "two\n")
    assert seen[0].args == ("two\n",)
    assert seen[0].getMessage() == "one two\n"


def test_libraries_speak_from_warning_on(written: io.StringIO) -> None:
    logging.getLogger("someone").info("chatter")
    logging.getLogger("someone").warning("trouble")
    logging.getLogger("modelyard.server").info("news")
    logging.getLogger("modelyard.server").debug("detail")
    assert [line.split(" ", 3)[3] for line in written.getvalue().splitlines()] == [
        "someone trouble",
        "modelyard.server news",
    ]


@pytest.mark.parametrize("written", [True], indirect=True)
def test_json_lines_have_the_pairs_of_the_event_as_keys(written: io.StringIO) -> None:
    try:
        raise ValueError(FORGED)
    except ValueError:
        logging.getLogger("modelyard.x").exception("request.failed method=%s reason=%r text=%s", "Get", "a b", FORGED)
    (line,) = written.getvalue().splitlines()
    told = json.loads(line)
    assert (told["event"], told["method"], told["reason"], told["level"]) == ("request.failed", "Get", "a b", "ERROR")
    assert "ValueError" in told["exception"]
