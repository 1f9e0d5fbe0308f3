"""`modelyard check`: problems, what is mended, and what would be sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import InvalidRequest
from support.folders import write_folder

SLIP = 'modle:\n  id: "m"\n  model_type_id: "text-to-text"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "m")


def test_a_folder_that_is_right_is_fine(run: Any, folder: Path) -> None:
    done = run("check", str(folder))
    assert (done.exit_code, done.stdout) == (0, f"{folder}: echo (text-to-text) is fine\n")


def test_warnings_are_told_and_change_nothing(run: Any, folder: Path) -> None:
    (folder / "1" / "model.py").write_text("import cv2\n" + (folder / "1" / "model.py").read_text())
    (folder / "id_rsa").write_text("x")
    done = run("check", str(folder))
    assert done.exit_code == 0
    assert "1/model.py line 1: cv2 is imported" in done.stderr
    assert "warning: id_rsa looks like a secret" in done.stderr
    assert len(json.loads(run("check", str(folder), "--json").stdout)["warnings"]) == 2


def test_what_can_be_mended_is_said_beside_what_is_wrong(run: Any, folder: Path) -> None:
    (folder / "config.yaml").write_text(SLIP)
    error = run("check", str(folder)).exception
    assert isinstance(error, InvalidRequest)
    assert f"modelyard check {folder} --fix" in error.hint
    (folder / "config.yaml").write_text("model: 3\n")
    error = run("check", str(folder)).exception
    assert isinstance(error, InvalidRequest)
    assert "--fix" not in error.hint


def test_diff_shows_and_changes_nothing(run: Any, folder: Path) -> None:
    (folder / "config.yaml").write_text(SLIP)
    assert "-modle:\n+model:\n" in run("check", str(folder), "--diff").stdout
    assert set(json.loads(run("check", str(folder), "--diff", "--json").stdout)["fixes"]) == {"config.yaml"}
    assert (folder / "config.yaml").read_text() == SLIP


def test_fix_mends_shows_and_checks(run: Any, folder: Path) -> None:
    (folder / "config.yaml").write_text(SLIP)
    done = run("check", str(folder), "--fix")
    assert done.exit_code == 0
    assert "-modle:\n+model:\n" in done.stdout
    assert done.stdout.endswith("m (text-to-text) is fine\n")
    assert (folder / "config.yaml").read_text() == SLIP.replace("modle", "model")
    assert "nothing that can be mended" in run("check", str(folder), "--diff").stdout
    assert "fixed" not in json.loads(run("check", str(folder), "--fix", "--json").stdout)


def test_what_fix_cannot_mend_still_fails(run: Any, folder: Path) -> None:
    (folder / "config.yaml").write_text(SLIP + "num_threads: many\n")
    done = run("check", str(folder), "--fix")
    assert isinstance(done.exception, InvalidRequest)
    assert "num_threads" in str(done.exception)
    assert (folder / "config.yaml").read_text().startswith("model:")


def test_a_list_has_sizes_parts_and_reasons_even_of_a_folder_that_is_wrong(run: Any, folder: Path) -> None:
    (folder / "config.yaml").unlink()
    (folder / "1" / "checkpoints").mkdir()
    (folder / "1" / "checkpoints" / "w.bin").write_bytes(b"12345")
    (folder / ".env").write_text("x")
    (folder / "notes.md").write_text("x")
    (folder / ".modelyardignore").write_text("# mine\n\n*.md\n")
    listed = json.loads(run("check", str(folder), "--list", "--json").stdout)
    assert {one["path"]: one["part"] for one in listed["files"]} == {
        ".modelyardignore": "code", "1/checkpoints/w.bin": "weights", "1/model.py": "code", "requirements.txt": "code",
    }  # fmt: skip
    assert listed["ignored"] == [
        {"path": ".env", "why": "ignored by .env (always)"},
        {"path": "notes.md", "why": "ignored by *.md (.modelyardignore line 3)"},
    ]
    shown = run("check", str(folder), "--list").stdout
    assert "1/checkpoints/w.bin  5 bytes" in shown
    assert "4 files" in shown


def test_three_questions_are_not_asked_at_once(run: Any, folder: Path) -> None:
    assert run("check", str(folder), "--list", "--fix").exit_code == 2
