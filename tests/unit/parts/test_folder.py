"""A model folder is checked as a whole: all problems of all files at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.errors import InvalidConfig, InvalidFolder
from modelyard.parts import folder as folder_room
from modelyard.parts.folder import check_folder
from modelyard.parts.version_message import make_version_message

CONFIG = """\
model:
  id: m
  user_id: u
  app_id: a
  model_type_id: image-classifier
inference_compute_info:
  cpu_limit: 500m
  cpu_memory: 1500Mi
  num_accelerators: 1
  accelerator_type: ["NVIDIA-*"]
  accelerator_memory: 15Gi
build_info:
  python_version: "3.11"
num_threads: 4
concepts:
  - id: '0'
    name: no
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "model.py").write_text("class M: ...\n")
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "requirements.txt").write_text("numpy==1.26.4\n")
    return tmp_path


def test_a_sound_folder_passes(folder: Path) -> None:
    checked = check_folder(folder)
    assert checked.config.model.id == "m"
    assert [line.name for line in checked.requirements.lines] == ["numpy"]
    assert checked.warnings == ()


def test_every_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidFolder) as caught:
        check_folder(tmp_path)
    assert caught.value.message.splitlines() == [
        "config.yaml is missing",
        "requirements.txt is missing",
        "1/model.py is missing",
    ]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidFolder, match="none is not a folder"):
        check_folder(tmp_path / "none")


def test_syntax_error_has_file_and_line(folder: Path) -> None:
    (folder / "1" / "model.py").write_text("import os\n\nclass M:\n  def f(:\n    pass\n")
    with pytest.raises(InvalidFolder, match=r"^1/model\.py line 4: invalid syntax: def f\(:"):
        check_folder(folder)


def test_newer_syntax_is_only_warned_about_when_the_model_runs_on_a_newer_python(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "1" / "model.py").write_text("def f(:\n")
    monkeypatch.setattr(folder_room, "_is_newer", lambda version: version == "3.11")
    assert "1/model.py line 1: invalid syntax" in check_folder(folder).warnings[0]


def test_hopelessly_nested_source_is_refused(folder: Path) -> None:
    (folder / "1" / "model.py").write_text("(" * 100_000)
    with pytest.raises(InvalidFolder, match=r"1/model\.py"):
        check_folder(folder)


def test_a_wrong_config_alone_is_an_invalid_config(folder: Path) -> None:
    (folder / "config.yaml").write_text(CONFIG.replace('"3.11"', '"2.7"'))
    with pytest.raises(InvalidConfig, match="python_version"):
        check_folder(folder)


def test_problems_of_all_files_come_at_once(folder: Path) -> None:
    (folder / "config.yaml").write_text(CONFIG.replace('"3.11"', '"2.7"'))
    (folder / "requirements.txt").write_text("-r other.txt\n")
    (folder / "1" / "model.py").write_text("x = = 1\n")
    with pytest.raises(InvalidFolder) as caught:
        check_folder(folder)
    for part in ("python_version", "requirements.txt line 1", "1/model.py line 1"):
        assert part in caught.value.message


def test_files_above_their_size_are_refused(folder: Path) -> None:
    (folder / "config.yaml").write_text(CONFIG + "#" * (256 * 1024))
    (folder / "requirements.txt").write_text("#" * (1024 * 1024 + 1))
    with pytest.raises(InvalidFolder, match=r"config\.yaml has \d+ bytes; at most 262144(.|\n)*1048576 are allowed"):
        check_folder(folder)


def test_text_that_is_not_utf8_is_refused(folder: Path) -> None:
    (folder / "requirements.txt").write_bytes(b"numpy\xff\n")
    with pytest.raises(InvalidFolder, match=r"requirements\.txt is not UTF-8 text \(byte 5\)"):
        check_folder(folder)


def test_several_users_make_the_check_stricter(folder: Path) -> None:
    (folder / "requirements.txt").write_text("git+https://host/r.git\n")
    assert "comes from a repository" in check_folder(folder).warnings[0]
    with pytest.raises(InvalidFolder, match="several users"):
        check_folder(folder, is_multi_user=True)


def test_version_message_says_what_the_config_says(folder: Path) -> None:
    version = make_version_message(check_folder(folder).config)
    compute = version.inference_compute_info
    assert (compute.cpu_limit, compute.cpu_memory, compute.num_accelerators) == ("500m", "1500Mi", 1)
    assert (list(compute.accelerator_type), compute.accelerator_memory) == (["NVIDIA-*"], "15Gi")
    assert [(one.id, one.name) for one in version.output_info.data.concepts] == [("0", "no")]
    assert version.num_threads == 4
    assert version.HasField("pretrained_model_config")


def test_version_message_without_concepts_has_no_output_info(folder: Path) -> None:
    (folder / "config.yaml").write_text("model:\n  id: m\n  model_type_id: text-to-text\n")
    version = make_version_message(check_folder(folder).config)
    assert not version.HasField("output_info")
    assert version.HasField("inference_compute_info")
