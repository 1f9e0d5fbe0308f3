"""`modelyard up`: what it says before it serves."""

from __future__ import annotations

import logging

import pytest

from modelyard.cli import up


@pytest.mark.parametrize(("is_optimised", "lines"), [(True, 0), (False, 1)])
def test_an_interpreter_that_is_built_for_no_speed_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, is_optimised: bool, lines: int
) -> None:
    monkeypatch.setattr(up, "is_optimised", lambda: is_optimised)
    with caplog.at_level(logging.INFO, logger=up.__name__):
        up.tell_of_slow_python()
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == lines
    assert all("python.slow" in line and "--enable-optimizations" in line for line in told)
