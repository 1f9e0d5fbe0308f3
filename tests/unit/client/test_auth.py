"""Where the server is looked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelyard.client.auth import Context, default_data_dir, find_context
from modelyard.errors import Unauthenticated, Unavailable


def test_the_environment_names_server_token_and_user() -> None:
    variables = {"CLARIFAI_API_BASE": "http://host:1", "CLARIFAI_PAT": "t", "CLARIFAI_USER_ID": "ann"}
    assert find_context(variables) == Context(base="http://host:1", token="t", user_id="ann")


def test_without_a_user_the_tokens_own_is_asked_for() -> None:
    assert find_context({"CLARIFAI_API_BASE": "http://host:1", "CLARIFAI_PAT": "t"}).user == "me"


def test_a_server_without_a_token_is_unauthenticated() -> None:
    with pytest.raises(Unauthenticated, match="CLARIFAI_PAT is not set") as raised:
        find_context({"CLARIFAI_API_BASE": "http://host:1"})
    assert "modelyard env" in raised.value.hint


def test_else_the_server_of_this_machine_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_DATA_DIR", str(tmp_path))
    (tmp_path / "server.json").write_text(json.dumps({"url": "http://127.0.0.1:9", "user_id": "ann", "pid": 1}))
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "token").write_text("local\n")
    assert find_context({}) == Context(base="http://127.0.0.1:9", token="local", user_id="ann")


def test_where_none_was_started_the_next_step_is_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_DATA_DIR", str(tmp_path))
    with pytest.raises(Unavailable) as raised:
        find_context({})
    assert "modelyard up" in raised.value.hint


def test_the_data_folder_follows_the_desktop_standard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELYARD_DATA_DIR", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_data_dir() == tmp_path / "modelyard"


def test_a_context_never_shows_its_token() -> None:
    assert "secret" not in repr(Context(base="http://host", token="secret"))
