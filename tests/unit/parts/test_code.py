"""Which files belong to a model, and to which part."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from modelyard.errors import InvalidFolder
from modelyard.parts.code import IgnoreRules, explain_dropped, list_files, split_parts, walk_folder
from modelyard.parts.files import FileEntry


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    put(tmp_path / "model", "1/model.py", "config.yaml", "requirements.txt")
    return tmp_path / "model"


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def names_of(folder: Path) -> list[str]:
    return [path.as_posix() for path in list_files(folder)]


def entries(*paths: str) -> list[FileEntry]:
    return [FileEntry(path=path, digest="0" * 64, size_bytes=1) for path in paths]


def test_rubbish_and_secrets_stay_behind(folder: Path) -> None:
    put(folder, ".git/config", ".env", ".env.local", ".venv/bin/python", "1/__pycache__/m.pyc", "a~", "1/.DS_Store")
    put(folder, "1/checkpoints/.cache/huggingface/x", ".ipynb_checkpoints/n.ipynb")
    assert names_of(folder) == ["1/model.py", "config.yaml", "requirements.txt"]


def test_hidden_files_that_are_nobodys_rubbish_are_kept(folder: Path) -> None:
    put(folder, ".streamlit/config.toml")
    assert ".streamlit/config.toml" in names_of(folder)


def test_ignore_file_speaks_gitignore_and_has_the_last_word(folder: Path) -> None:
    put(folder, "data/big.bin", "data/keep.bin", "notes.md", ".env")
    (folder / ".modelyardignore").write_text("# ours\ndata/*\n!data/keep.bin\n/notes.md\n!.env\n")
    assert names_of(folder) == [
        ".env", ".modelyardignore", "1/model.py", "config.yaml", "data/keep.bin", "requirements.txt"
    ]  # fmt: skip


def test_links_inside_the_folder_count_as_what_they_lead_to(folder: Path) -> None:
    put(folder, "shared/words.txt")
    (folder / "1" / "words.txt").symlink_to("../shared/words.txt")
    (folder / "1" / "shared").symlink_to(folder / "shared")
    assert {"1/words.txt", "1/shared/words.txt", "shared/words.txt"} <= set(names_of(folder))


def test_links_that_cannot_be_followed_are_refused_all_at_once(folder: Path, tmp_path: Path) -> None:
    put(tmp_path, "secret.txt")
    (folder / "out").symlink_to(tmp_path / "secret.txt")
    (folder / "nowhere").symlink_to("gone")
    (folder / "1" / "circle").symlink_to("..")
    with pytest.raises(InvalidFolder) as caught:
        list_files(folder)
    assert caught.value.message.splitlines() == [
        "1/circle: the link leads in a circle",
        "nowhere: the link leads nowhere",
        "out: the link leads outside of the model folder",
    ]


def test_an_ignored_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    (folder / ".venv").symlink_to(tmp_path)
    (folder / "gone").symlink_to("nowhere")
    (folder / ".modelyardignore").write_text("gone\n")
    assert ".modelyardignore" in names_of(folder)


def test_sockets_and_pipes_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(folder / "pipe")
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket")
    with pytest.raises(InvalidFolder, match=r"pipe: it is neither.*\nsocket: it is neither"):
        list_files(folder)


def test_checkpoints_are_the_weights() -> None:
    code, weights = split_parts(entries("1/model.py", "1/checkpoints/w.bin", "1/checkpoints/a/b", "checkpoints/x"))
    assert [entry.path for entry in code.files] == ["1/model.py", "checkpoints/x"]
    assert weights is not None
    assert [entry.path for entry in weights.files] == ["1/checkpoints/a/b", "1/checkpoints/w.bin"]


def test_without_checkpoints_there_are_no_weights() -> None:
    assert split_parts(entries("1/model.py"))[1] is None


def test_dockerfile_and_rubbish_of_an_upload_are_dropped_with_a_line_for_the_log() -> None:
    upload = entries("1/model.py", "Dockerfile", "1/Dockerfile", ".git/HEAD", "1/__pycache__/m.cpython-311.pyc")
    code, _ = split_parts(upload)
    assert [entry.path for entry in code.files] == ["1/Dockerfile", "1/model.py"]
    lines = explain_dropped(upload)
    assert lines[0].startswith("Dockerfile is not used")
    assert lines[1] == "Not part of the model, left out: '.git/HEAD', '1/__pycache__/m.cpython-311.pyc'"


def test_nothing_dropped_is_nothing_said() -> None:
    assert explain_dropped(entries("1/model.py")) == ()


def test_rules_of_the_folder_are_used_where_given() -> None:
    code, _ = split_parts(entries(".env"), IgnoreRules("!.env"))
    assert [entry.path for entry in code.files] == [".env"]


def test_what_stays_behind_is_told_with_its_rule(folder: Path) -> None:
    put(folder, ".git/config", "data/big.bin", "data/keep.bin", "b.md")
    (folder / ".modelyardignore").write_text("\n# ours\n\ndata/*\n!data/keep.bin\n*.md\n")
    ignored = walk_folder(folder)[1]
    assert {path: str(rule) for path, rule in ignored.items()} == {
        ".git/": ".git/ (always)",
        "b.md": "*.md (.modelyardignore line 6)",
        "data/big.bin": "data/* (.modelyardignore line 4)",
    }
