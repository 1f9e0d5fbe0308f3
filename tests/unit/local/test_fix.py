"""What is safe to mend in a folder is shown as a diff, and written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.config.schema_file import SCHEMA_LINE, SCHEMA_PATH, add_schema_line, read_schema
from modelyard.errors import InvalidFolder
from modelyard.local import fix as fix_room
from modelyard.local.fix import apply_fixes, describe_fixes, plan_fixes, plan_schema
from modelyard.parts.folder import check_folder

SLIPS = "modle:\r\n  id: m   # mine\r\n  model_type_id: text-to-text\r\n"
MENDED = "model:\n  id: m   # mine\n  model_type_id: text-to-text\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "model.py").write_text("class M: ...\n")
    (tmp_path / "config.yaml").write_bytes(SLIPS.encode())
    return tmp_path


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mend(folder: Path) -> None:
    apply_fixes(folder, plan_fixes(folder))


def test_a_folder_is_mended_and_then_right(folder: Path) -> None:
    mend(folder)
    assert (folder / "config.yaml").read_bytes() == MENDED.encode()
    assert (folder / "requirements.txt").read_bytes() == b""
    check_folder(folder)
    assert plan_fixes(folder) == ()
    assert names_in(folder) == ["1", "config.yaml", "requirements.txt"]


def test_planning_writes_nothing(folder: Path) -> None:
    plan_fixes(folder)
    assert (folder / "config.yaml").read_bytes() == SLIPS.encode()
    assert not (folder / "requirements.txt").exists()


def test_the_diff_shows_what_changes(folder: Path) -> None:
    diffs = describe_fixes(plan_fixes(folder))
    assert diffs["config.yaml"].splitlines()[:5] == ["--- a/config.yaml", "+++ b/config.yaml", "@@ -1,3 +1,3 @@",
                                                     "-modle:", "+model:"]  # fmt: skip
    assert diffs["requirements.txt"].splitlines()[2] == "@@ an empty file @@"


def test_line_ends_alone_are_told(folder: Path) -> None:
    (folder / "config.yaml").write_bytes(MENDED.replace("\n", "\r\n").encode())
    assert describe_fixes(plan_fixes(folder))["config.yaml"].splitlines()[2] == "@@ line ends @@"


def test_tokens_are_not_in_the_diff(folder: Path) -> None:
    text = SLIPS + "checkpoints: {repo_id: a/b, hf_token: hf_geheim, whn: build}\nsecrets:\n- value: hunter2\n"
    (folder / "config.yaml").write_text(text)
    (config, _) = plan_fixes(folder)
    assert "hf_token: [hidden], when: build" in config.diff
    assert "geheim" not in config.diff
    assert "hunter2" not in config.diff
    assert b"hf_token: hf_geheim" in config.after


def test_mode_and_link_are_kept(folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "shared.yaml"
    (folder / "config.yaml").rename(elsewhere)
    elsewhere.chmod(0o640)
    (folder / "config.yaml").symlink_to(elsewhere)
    mend(folder)
    assert (folder / "config.yaml").is_symlink()
    assert (elsewhere.read_text(), elsewhere.stat().st_mode & 0o777) == (MENDED, 0o640)


def test_another_ending_is_renamed(folder: Path) -> None:
    (folder / "config.yaml").rename(folder / "config.yml")
    mend(folder)
    assert (folder / "config.yaml").read_text() == MENDED
    assert not (folder / "config.yml").exists()


def test_a_config_beside_another_ending_counts(folder: Path) -> None:
    (folder / "config.yml").write_text("left")
    mend(folder)
    assert ((folder / "config.yaml").read_text(), (folder / "config.yml").read_text()) == (MENDED, "left")


def test_what_another_editor_saved_as_utf_16_becomes_utf_8(folder: Path) -> None:
    (folder / "config.yaml").write_bytes(MENDED.encode("utf-16"))
    (config, _) = plan_fixes(folder)
    assert config.diff.splitlines()[2] == "@@ saved as UTF-8 @@"
    assert config.after == MENDED.encode()


def test_a_misspelled_requirements_file_is_left_to_the_author(folder: Path) -> None:
    (folder / "requirement.txt").write_text("numpy\n")
    assert [fix.name for fix in plan_fixes(folder)] == ["config.yaml"]


@pytest.mark.parametrize("content", [b"\xff\xff", b"model: [\n", b"#" * (256 * 1024 + 1)])
def test_what_cannot_be_read_is_left_alone(folder: Path, content: bytes) -> None:
    (folder / "config.yaml").write_bytes(content)
    assert [fix.name for fix in plan_fixes(folder)] == ["requirements.txt"]


def test_a_file_that_changed_meanwhile_is_not_overwritten(folder: Path) -> None:
    fixes = plan_fixes(folder)
    (folder / "config.yaml").write_text("mine\n")
    with pytest.raises(InvalidFolder, match="was changed meanwhile; nothing was mended"):
        apply_fixes(folder, fixes)
    assert (folder / "config.yaml").read_text() == "mine\n"


def test_where_one_file_cannot_be_written_all_are_as_they_were(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = fix_room._write

    def fail_at_requirements(target: Path, content: bytes, *, like: Path) -> None:
        if target.name == "requirements.txt":
            raise OSError(28, "No space left on device")
        write(target, content, like=like)

    fixes = plan_fixes(folder)
    monkeypatch.setattr(fix_room, "_write", fail_at_requirements)
    with pytest.raises(InvalidFolder, match="No space left on device; nothing was changed"):
        apply_fixes(folder, fixes)
    assert (folder / "config.yaml").read_bytes() == SLIPS.encode()
    assert names_in(folder) == ["1", "config.yaml"]


def test_a_folder_that_is_not_there_has_nothing_to_mend(tmp_path: Path) -> None:
    assert plan_fixes(tmp_path / "none") == ()


def test_the_schema_beside_a_config_that_names_it_is_kept_up_to_date(folder: Path) -> None:
    (folder / "config.yaml").write_text(add_schema_line(MENDED))
    (folder / "requirements.txt").write_text("")
    (fix,) = plan_fixes(folder)
    assert fix.diff.splitlines()[2] == "@@ written by modelyard @@"
    mend(folder)
    assert (folder / SCHEMA_PATH).read_bytes() == read_schema()
    assert plan_fixes(folder) == ()
    (folder / SCHEMA_PATH).write_text("{}")
    mend(folder)
    assert (folder / SCHEMA_PATH).read_bytes() == read_schema()


def test_a_folder_is_given_the_schema_and_the_line_that_names_it(folder: Path) -> None:
    apply_fixes(folder, plan_schema(folder))
    assert (folder / "config.yaml").read_bytes() == f"{SCHEMA_LINE}\r\n{SLIPS}".encode()
    assert (folder / SCHEMA_PATH).read_bytes() == read_schema()
    assert plan_schema(folder) == ()


def test_a_schema_of_the_authors_own_stays(folder: Path) -> None:
    (folder / "config.yaml").write_text("# yaml-language-server: $schema=../mine.json\n" + MENDED)
    assert [fix.name for fix in plan_schema(folder)] == [SCHEMA_PATH]
    assert [fix.name for fix in plan_fixes(folder)] == ["requirements.txt"]


def test_a_folder_without_a_config_is_given_no_schema(tmp_path: Path) -> None:
    with pytest.raises(InvalidFolder, match=r"has no config\.yaml"):
        plan_schema(tmp_path)
