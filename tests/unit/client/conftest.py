"""A small V2 server over real gRPC, and a connection to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from modelyard.client.auth import Context
from modelyard.client.transport import Transport
from support.answers import Answers, serve_answers


@pytest.fixture
def answers() -> Iterator[Answers]:
    with serve_answers() as served:
        yield served


@pytest.fixture
def transport(answers: Answers) -> Iterator[Transport]:
    with Transport(Context(base=answers.url, token="secret", user_id="ann")) as opened:
        yield opened
