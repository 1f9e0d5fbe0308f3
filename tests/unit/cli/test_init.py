"""`modelyard init`: what it prints, what it asks, and what it says when it cannot."""

from __future__ import annotations

import json
import os
import pty
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from modelyard.config.load import load_config
from modelyard.errors import Conflict, InvalidRequest
from modelyard.local.catalog import TEMPLATES

Run = Callable[..., Result]


def test_it_prints_the_files_and_the_next_three_commands(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("init", "leaves", "-t", "image-classifier")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "leaves/  leaves, image-classifier"
    assert "├── 1/model.py" in lines
    assert lines[-1] == "  modelyard predict leaves --image leaves/samples/leaf.png"
    assert lines[-3:-1] == ["  modelyard run leaves", "  modelyard upload leaves"]
    assert Path("leaves/samples/leaf.png").is_file()


def test_commands_can_be_pasted_whatever_the_folder_is_called(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "My $HOME 'model'"
    result = run("init", str(folder), "-t", "image-detector", "--json")
    commands = json.loads(result.stdout)["next"]
    assert shlex.split(commands[0]) == ["modelyard", "run", str(folder)]
    echo = f"printf %s {commands[1].removeprefix('modelyard upload ')}"
    assert subprocess.run(["sh", "-c", echo], capture_output=True, text=True, check=True).stdout == str(folder)


def test_json_tells_all_of_it(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    document = json.loads(run("init", str(folder), "-t", "llm", "--checkpoint", "owner/name", "--json").stdout)
    assert document["template"] == "text-to-text"
    assert document["checkpoint"] == "owner/name"
    assert "1/tokens.py" in document["files"]
    assert len(document["next"]) == 3


def test_options_are_written_into_the_config(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    options = ("--model-id", "spell", "--user-id", "ann", "--app-id", "shop", "--python", "3.12")
    assert run("init", str(folder), "-t", "text-classifier", *options).exit_code == 0
    config = load_config((folder / "config.yaml").read_text()).config
    assert (config.model.id, config.model.user_id, config.model.app_id) == ("spell", "ann", "shop")
    assert config.python_version == "3.12"


def test_without_an_option_the_python_of_this_command_is_taken(run: Run, tmp_path: Path) -> None:
    run("init", str(tmp_path / "m"), "-t", "openai")
    python = load_config((tmp_path / "m" / "config.yaml").read_text()).config.python_version
    assert python == f"{sys.version_info[0]}.{sys.version_info[1]}"


def test_the_list_has_every_template(run: Run) -> None:
    lines = run("init", "--list").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [template.name for template in TEMPLATES]
    listed = json.loads(run("init", "--list", "--json").stdout)
    assert [one["name"] for one in listed] == [template.name for template in TEMPLATES]


def test_a_program_that_names_no_template_is_told_which_there_are(run: Run, tmp_path: Path) -> None:
    error = run("init", str(tmp_path / "m")).exception
    assert isinstance(error, InvalidRequest)
    assert "image-classifier, image-detector" in error.message
    assert not (tmp_path / "m").exists()


def test_without_a_folder_it_says_what_is_missing(run: Run) -> None:
    result = run("init", "-t", "openai")
    assert result.exit_code == 2
    assert "Missing argument 'DIR'" in result.output


def test_a_folder_with_files_is_a_conflict(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    error = run("init", str(tmp_path), "-t", "openai").exception
    assert isinstance(error, Conflict)
    assert run("init", str(tmp_path), "-t", "openai", "--force").exit_code == 0


def answer_on_terminal(typed: str, *arguments: str) -> str:
    """What a person at a terminal sees who types this."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "modelyard.cli.main", "init", *arguments]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        os.write(ours, typed.encode())
        shown = b""
        try:
            while piece := os.read(ours, 4096):
                shown += piece
        except OSError:  # Linux says so when the other end is closed
            pass
        assert process.wait(20) == 0, shown.decode()
    os.close(ours)
    return shown.decode()


def test_a_person_is_asked_and_asked_again(tmp_path: Path) -> None:
    shown = answer_on_terminal("99\nmultimodl\n2\n", str(tmp_path / "m"))
    assert "  2  image-detector      finds things in an image, with boxes" in shown
    assert "99 is not in the list; there are 1 to 12" in shown
    assert "did you mean 'multimodal-to-text'" in shown
    assert 'model_type_id: "image-detector"' in (tmp_path / "m" / "config.yaml").read_text()


def test_with_a_checkpoint_only_templates_that_take_one_are_offered(tmp_path: Path) -> None:
    shown = answer_on_terminal("speech-recognition\n", str(tmp_path / "m"), "--checkpoint", "owner/name")
    assert "openai" not in shown
    assert 'repo_id: "owner/name"' in (tmp_path / "m" / "config.yaml").read_text()
