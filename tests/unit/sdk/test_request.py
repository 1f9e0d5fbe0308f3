from __future__ import annotations

import io
import logging
from dataclasses import dataclass

import pytest

import modelyard
from modelyard.errors import Cancelled
from modelyard.sdk.logger import get_logger
from modelyard.sdk.request import CurrentRequest, begin_work, current_request, end_work


@dataclass
class Caller:
    wire_id: str
    is_cancelled: bool = False
    traceparent: str = ""
    tracestate: str = ""


def test_outside_of_a_request_there_is_nothing_to_cancel() -> None:
    assert modelyard.current_request().id == ""
    assert not current_request().is_cancelled
    current_request().check()


def test_request_is_known_until_work_on_it_ends() -> None:
    working = begin_work(CurrentRequest([Caller("a", traceparent="00-1")]))
    assert (current_request().id, current_request().traceparent) == ("a", "00-1")
    end_work(working)
    assert current_request().id == ""


def test_batch_is_cancelled_when_all_its_callers_are_gone() -> None:
    callers = [Caller("a"), Caller("b")]
    request = CurrentRequest(callers)
    callers[0].is_cancelled = True
    assert not request.is_cancelled
    callers[1].is_cancelled = True
    assert request.is_cancelled
    with pytest.raises(Cancelled):
        request.check()


def test_ids_of_a_large_batch_are_cut() -> None:
    assert CurrentRequest([Caller(one) for one in "abcdef"]).id == "a,b,c,d,+2"


def test_lines_of_our_logger_have_the_request_id(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    logger = get_logger(logging.INFO, "test-request-ids")
    logger.info("before")
    working = begin_work(CurrentRequest([Caller("abc")]))
    logger.info("during")
    end_work(working)
    assert written.getvalue().splitlines() == [
        "INFO test-request-ids: before",
        "INFO test-request-ids: during request_id=abc",
    ]
