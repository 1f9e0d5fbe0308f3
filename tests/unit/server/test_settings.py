"""What the server may be told, and whose a data directory is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from modelyard.client.auth import default_data_dir
from modelyard.errors import Conflict, InvalidRequest
from modelyard.server import failpoints
from modelyard.server.first_user import choose_user
from modelyard.server.settings import Settings


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_the_loopback_is_served(host: str, tmp_path: Path) -> None:
    assert Settings(data_dir=tmp_path, host=host).host == host


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "10.0.0.1", "example.org", "127.0.0.1.example.org", "LOCALHOST "]
)
def test_any_other_host_is_refused_with_what_is_allowed(host: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"127\.0\.0\.1, ::1 or localhost"):
        Settings(data_dir=tmp_path, host=host)


@pytest.mark.parametrize("user_id", ["a", "ada", "Ada.L-1_2", "7", "x" * 64])
def test_user_ids_of_the_grammar_pass(user_id: str, tmp_path: Path) -> None:
    assert Settings(data_dir=tmp_path, user_id=user_id).user_id == user_id


@pytest.mark.parametrize("user_id", ["", "-a", ".a", "a/b", "a b", "a\n", "é", "x" * 65, "../a"])
def test_other_user_ids_are_refused(user_id: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="--user-id"):
        Settings(data_dir=tmp_path, user_id=user_id)


def test_everything_is_inside_the_data_directory(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    places = (settings.secrets_dir, settings.server_file, settings.uploads_dir, settings.versions_dir)
    assert {one.parent for one in places} == {tmp_path}
    assert settings.database_url == f"sqlite+aiosqlite:///{tmp_path}/modelyard.db"


def test_the_data_directory_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("MODELYARD_DATA_DIR", "mine")
    assert default_data_dir() == tmp_path / "mine"
    monkeypatch.delenv("MODELYARD_DATA_DIR")
    assert default_data_dir() == tmp_path / "xdg" / "modelyard"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_data_dir() == tmp_path / ".local" / "share" / "modelyard"


def test_a_new_directory_belongs_to_who_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLARIFAI_USER_ID", raising=False)
    assert choose_user(tmp_path / "none", None) == "local"
    monkeypatch.setenv("CLARIFAI_USER_ID", "bob")
    assert choose_user(tmp_path, None) == "bob"
    assert choose_user(tmp_path, "ada") == "ada"


def test_a_directory_keeps_its_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLARIFAI_USER_ID", "bob")
    (tmp_path / "server.json").write_text('{"user_id": "ada", "url": "x"}')
    assert choose_user(tmp_path, None) == choose_user(tmp_path, "ada") == "ada"
    with pytest.raises(Conflict, match="belongs to user 'ada'"):
        choose_user(tmp_path, "bob")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "\x00"])
def test_a_directory_that_does_not_say_whose_it_is_is_not_given_away(content: str, tmp_path: Path) -> None:
    (tmp_path / "server.json").write_text(content)
    with pytest.raises(Conflict, match=r"server\.json"):
        choose_user(tmp_path, "bob")


def test_every_failpoint_in_the_code_is_listed_and_every_listed_one_is_in_the_code() -> None:
    server = Path(failpoints.__file__).parent
    found = {
        name for path in server.rglob("*.py") for name in re.findall(r'failpoints\.hit\("([^"]+)"\)', path.read_text())
    }
    assert found == failpoints.NAMES


def test_a_failpoint_that_was_not_asked_for_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(failpoints.VARIABLE, raising=False)
    failpoints.hit("build.done")
    monkeypatch.setenv(failpoints.VARIABLE, "build.started=kill")
    failpoints.hit("build.done")
