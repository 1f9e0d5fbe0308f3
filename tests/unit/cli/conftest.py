"""Commands against a small V2 server over real gRPC, which the environment names."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result

from modelyard.cli.main import cli
from support.answers import Answers, serve_answers

Run = Callable[..., Result]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    with serve_answers() as served:
        monkeypatch.setenv("CLARIFAI_API_BASE", served.url)
        monkeypatch.setenv("CLARIFAI_PAT", "secret")
        monkeypatch.setenv("CLARIFAI_USER_ID", "ann")
        yield served


@pytest.fixture
def run() -> Run:
    def run_command(*arguments: str, stdin: bytes | str = "") -> Result:
        return CliRunner().invoke(cli, list(arguments), input=stdin)

    return run_command
