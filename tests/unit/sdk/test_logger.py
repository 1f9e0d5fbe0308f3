from __future__ import annotations

import logging

import pytest

from modelyard.sdk.logger import get_logger


@pytest.fixture
def name(request: pytest.FixtureRequest):
    yield request.node.name
    found = logging.getLogger(request.node.name)
    for handler in list(found.handlers):
        found.removeHandler(handler)
        handler.close()


def test_a_line_is_written_once_to_standard_error(name: str, capsys: pytest.CaptureFixture[str]):
    get_logger("INFO", name)
    get_logger("INFO", name).info("loaded in %d s", 3)
    get_logger(name=name).debug("not this one")
    assert capsys.readouterr().err == f"INFO {name}: loaded in 3 s\n"


def test_a_root_handler_of_the_authors_does_not_double_the_line(name: str, capsys: pytest.CaptureFixture[str]):
    handler = logging.StreamHandler()
    logging.getLogger().addHandler(handler)
    try:
        get_logger("INFO", name).warning("once")
    finally:
        logging.getLogger().removeHandler(handler)
    assert capsys.readouterr().err == f"WARNING {name}: once\n"


def test_without_a_name_it_is_the_documented_one():
    from modelyard.sdk.logger import logger

    assert get_logger() is logger
    assert (logger.name, logger.level) == ("clarifai", logging.INFO)
