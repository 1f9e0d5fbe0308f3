"""Which commit a folder is of; nothing fails where git has nothing to say."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from modelyard.client.git import Commit, read_commit

WHO = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false"]


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *WHO, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet", "--initial-branch=trunk")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "a.py").write_text("a = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    return tmp_path


def test_a_folder_in_a_repository_has_its_commit(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    assert read_commit(repository / "model") == Commit(commit=commit, branch="trunk", is_clean=True)


def test_only_changes_in_the_folder_count(repository: Path) -> None:
    (repository / "elsewhere.py").write_text("")
    found = read_commit(repository / "model")
    assert found is not None
    assert found.is_clean
    (repository / "model" / "a.py").write_text("a = 2\n")
    found = read_commit(repository / "model")
    assert found is not None
    assert not found.is_clean


def test_a_commit_without_a_branch_is_a_commit_all_the_same(repository: Path) -> None:
    git(repository, "checkout", "--quiet", "--detach")
    found = read_commit(repository)
    assert found is not None
    assert found.branch == ""


def test_a_folder_that_is_in_none_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert read_commit(tmp_path) is None
    git(tmp_path, "init", "--quiet")
    assert read_commit(tmp_path) is None, "nothing is committed yet"


def test_a_machine_without_git_is_no_hindrance(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    assert read_commit(repository) is None
