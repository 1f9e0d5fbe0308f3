"""A folder started from a template: right at once, all of it or none, and nobody's files harmed."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import jsonschema
import pytest
import yaml

from modelyard.config.load import load_config
from modelyard.config.schema_file import read_schema
from modelyard.errors import Conflict, InvalidFolder, InvalidRequest
from modelyard.local import init
from modelyard.local.catalog import FOLDER, TEMPLATES, Template, find_template
from modelyard.local.init import Start, choose_model_id, join_command, render, start_folder
from modelyard.parts.code import list_files
from modelyard.parts.folder import check_folder

PLAIN = find_template("text-to-text")
VARIANTS = [(template, checkpoint) for template in TEMPLATES for checkpoint in ("", "owner/name")]
VARIANTS = [(template, checkpoint) for template, checkpoint in VARIANTS if template.checkpoint or not checkpoint]
NAMES = [f"{template.name}{' of a checkpoint' if checkpoint else ''}" for template, checkpoint in VARIANTS]


def make_start(template: Template = PLAIN, **changes: str) -> Start:
    start = Start(template=template, model_id="my-model", python_version="3.11")
    return dataclasses.replace(start, **changes)


def read_all(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("template", "checkpoint"), VARIANTS, ids=NAMES)
def test_every_template_is_right_without_a_warning(template: Template, checkpoint: str, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    start_folder(folder, make_start(template, user_id="ann", app_id="shop", checkpoint=checkpoint))
    config = load_config((folder / "config.yaml").read_text())
    assert config.config.model.id == "my-model"
    assert (config.config.model.user_id, config.config.model.app_id) == ("ann", "shop")
    assert config.config.python_version == "3.11"
    if checkpoint:
        assert config.config.checkpoints is not None
        assert config.config.checkpoints.repo_id == checkpoint
    own = {"typed": "text-to-text"}.get(template.name, "visual-classifier")
    assert config.config.model.model_type_id in {template.name, *template.aliases, own}
    assert check_folder(folder).warnings == ()


@pytest.mark.parametrize(("template", "checkpoint"), VARIANTS, ids=NAMES)
def test_every_template_names_what_it_has(template: Template, checkpoint: str, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    start_folder(folder, make_start(template, checkpoint=checkpoint))
    samples = [word.removeprefix("@") for word in template.example if "samples/" in word]
    assert [name for name in samples if not (folder / name).is_file()] == []
    readme = (folder / "README.md").read_text()
    assert "modelyard run ." in readme
    assert "modelyard upload ." in readme
    assert f"modelyard predict my-model {join_command(template.example)}" in readme
    assert not [name for name, content in read_all(folder).items() if b"@MODEL_ID@" in content or b"@P" in content]


@pytest.mark.parametrize(("template", "checkpoint"), VARIANTS, ids=NAMES)
def test_samples_stay_behind_in_an_upload(template: Template, checkpoint: str, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    start_folder(folder, make_start(template, checkpoint=checkpoint))
    sent = {path.as_posix() for path in list_files(folder)}
    assert {"config.yaml", "requirements.txt", "1/model.py"} <= sent
    assert not [path for path in sent if path.startswith(("samples/", ".modelyard/"))]


def test_editors_find_the_schema_of_the_config_in_the_folder(tmp_path: Path) -> None:
    start_folder(tmp_path / "m", make_start())
    first = (tmp_path / "m" / "config.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=.modelyard/config.schema.json"
    assert (tmp_path / "m" / ".modelyard" / "config.schema.json").read_bytes() == read_schema()


@pytest.mark.parametrize(("template", "checkpoint"), VARIANTS, ids=NAMES)
def test_the_schema_accepts_every_template(template: Template, checkpoint: str) -> None:
    config = render(make_start(template, checkpoint=checkpoint, user_id="ann"))["config.yaml"]
    jsonschema.validate(yaml.safe_load(config), json.loads(read_schema()))


@pytest.mark.parametrize(("template", "checkpoint"), VARIANTS, ids=NAMES)
def test_requirements_have_lower_bounds(template: Template, checkpoint: str) -> None:
    lines = render(make_start(template, checkpoint=checkpoint))["requirements.txt"].decode().splitlines()
    assert [line for line in lines if ">=" not in line and not line.startswith("#")] == []


def test_every_folder_of_a_template_is_in_the_catalog() -> None:
    assert {path.name for path in (FOLDER / "plain").iterdir()} == {template.name for template in TEMPLATES}
    known = {template.name for template in TEMPLATES if template.checkpoint}
    assert {path.name for path in (FOLDER / "checkpoint").iterdir()} == known


def test_templates_read_on_every_python_that_they_may_be_written_for() -> None:
    import ast

    for path in FOLDER.rglob("*.py"):
        ast.parse(path.read_text(), feature_version=(3, 10))


def test_names_are_found_by_alias_and_suggested_when_mistyped() -> None:
    assert find_template("LLM").name == "text-to-text"
    assert find_template("visual-classifier").name == "image-classifier"
    with pytest.raises(InvalidRequest, match="did you mean 'image-detector'"):
        find_template("imagedetector")
    with pytest.raises(InvalidRequest, match="openai has no variant with a checkpoint; these have one: image-classif"):
        find_template("chat", is_checkpoint=True)


def test_names_and_aliases_are_unique() -> None:
    names = [name for template in TEMPLATES for name in (template.name, *template.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("name", "model_id"),
    [
        ("spell", "spell"),
        ("Mein Modell (2)", "mein-modell-2"),
        ("Größe.v2", "große.v2".replace("ß", "").replace("ö", "o")),
        ("--", "text-to-text"),
        ("模型", "text-to-text"),
        ("x" * 60, "x" * 48),
        ("_cache", "_cache"),
    ],
)
def test_a_folders_name_becomes_a_valid_id(name: str, model_id: str) -> None:
    assert choose_model_id(Path("somewhere") / name, PLAIN) == model_id


def test_the_folder_of_a_dot_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spell").mkdir()
    monkeypatch.chdir(tmp_path / "spell")
    assert choose_model_id(Path(), PLAIN) == "spell"
    start_folder(Path(), make_start())
    assert (tmp_path / "spell" / "config.yaml").is_file()
    assert Path.cwd().is_dir()


def test_all_wrong_options_are_told_at_once(tmp_path: Path) -> None:
    start = make_start(find_template("text-embedder"), model_id="a b", user_id="-x", checkpoint="a/b/c")
    with pytest.raises(InvalidRequest) as raised:
        start_folder(tmp_path / "m", start)
    assert [line.partition(":")[0] for line in raised.value.message.splitlines()] == [
        "--model-id",
        "--user-id",
        "--checkpoint",
    ]
    assert not (tmp_path / "m").exists()


def test_a_folder_with_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(Conflict, match=r"is not empty: it has notes\.txt; nothing was written"):
        start_folder(tmp_path, make_start())
    assert read_all(tmp_path) == {"notes.txt": b"mine"}


def test_a_new_repository_counts_as_empty(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("ref")
    files = start_folder(tmp_path, make_start())
    assert "1/model.py" in files
    assert (tmp_path / ".git" / "HEAD").read_text() == "ref"


def test_force_replaces_files_of_the_same_names_and_keeps_the_others(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "config.yaml").write_text("old")
    start_folder(tmp_path, make_start(), is_forced=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert "my-model" in (tmp_path / "config.yaml").read_text()
    assert not list(tmp_path.glob(".modelyard-init-*"))


def test_a_folder_in_the_way_of_a_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").mkdir()
    (tmp_path / "1").write_text("a file")
    with pytest.raises(Conflict, match=r"has in the way: config\.yaml, 1; nothing was written"):
        start_folder(tmp_path, make_start(), is_forced=True)
    assert read_all(tmp_path) == {"1": b"a file"}


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "m").write_text("")
    with pytest.raises(InvalidFolder, match="m is a file"):
        start_folder(tmp_path / "m", make_start(), is_forced=True)


def test_folders_above_are_made(tmp_path: Path) -> None:
    start_folder(tmp_path / "a" / "b" / "m", make_start())
    assert (tmp_path / "a" / "b" / "m" / "1" / "model.py").is_file()


def fail_at(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk be full at one of the renames."""
    whole, counted = Path.rename, iter(range(1000))

    def rename(path: Path, target: Path) -> Path:
        if next(counted) == number:
            raise OSError(28, "No space left on device")
        return whole(path, target)

    monkeypatch.setattr(Path, "rename", rename)


def test_a_new_folder_that_cannot_be_finished_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_at(0, monkeypatch)
    with pytest.raises(InvalidFolder, match="cannot be written: No space left on device"):
        start_folder(tmp_path / "a" / "m", make_start())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", range(6))
def test_a_folder_that_cannot_be_finished_is_as_it_was(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.yaml").write_text("old")
    (tmp_path / "README.md").symlink_to("config.yaml")
    before = read_all(tmp_path)
    fail_at(number, monkeypatch)
    with pytest.raises(InvalidFolder):
        start_folder(tmp_path, make_start(), is_forced=True)
    assert read_all(tmp_path) == before
    assert (tmp_path / "README.md").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "config.yaml"]


def test_files_may_be_read_as_any_new_file_may(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        start_folder(tmp_path / "m", make_start())
    finally:
        os.umask(before)
    assert (tmp_path / "m").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "m" / "config.yaml").stat().st_mode & 0o777 == 0o644


def test_what_an_installer_compiled_is_not_part_of_a_template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    template = Template(name="x", summary="")
    folder = tmp_path / "plain" / "x"
    (folder / "1" / "__pycache__").mkdir(parents=True)
    (folder / "1" / "__pycache__" / "model.cpython-311.pyc").write_bytes(b"")
    (folder / "1" / "model.py").write_text("")
    monkeypatch.setattr(init, "FOLDER", FOLDER)
    monkeypatch.setattr("modelyard.local.catalog.FOLDER", tmp_path)
    (folder / "config.yaml").write_text("")
    names = render(make_start(template))
    assert sorted(names) == [".modelyard/config.schema.json", ".modelyardignore", "1/model.py", "config.yaml"]
