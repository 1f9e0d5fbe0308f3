"""Waiting for a build while its server comes and goes."""

from __future__ import annotations

from typing import Any

import pytest

from modelyard.client import versions
from modelyard.client.names import parse_model_name
from modelyard.client.transport import Transport
from modelyard.client.versions import Versions
from modelyard.errors import Unavailable
from modelyard.wire.messages import MultiLogEntryResponse, SingleModelVersionResponse, StatusCode
from modelyard.wire.status import status_of, success


@pytest.fixture(autouse=True)
def _no_log(answers: Any) -> None:
    answers.by_name["ListLogEntries"] = lambda _: MultiLogEntryResponse(status=success())


def test_a_build_is_waited_for_while_its_server_is_restarted(answers: Any, transport: Transport) -> None:
    away = [SingleModelVersionResponse(status=status_of(Unavailable("restarting"))) for _ in range(3)]
    built = SingleModelVersionResponse(
        status=success(), model_version={"id": "v1", "status": {"code": StatusCode.MODEL_TRAINED}}
    )
    answers.by_name["GetModelVersion"] = lambda _: away.pop() if away else built
    assert Versions(transport).wait_built(parse_model_name("m@v1"), print).id == "v1"
    assert not away


def test_a_server_that_stays_away_is_given_up(
    answers: Any, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "PATIENCE_S", 0.3)
    answers.by_name["GetModelVersion"] = lambda _: SingleModelVersionResponse(status=status_of(Unavailable("gone")))
    with pytest.raises(Unavailable, match="gone"):
        Versions(transport).wait_built(parse_model_name("m@v1"), print)
