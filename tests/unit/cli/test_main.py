"""The command line's frame: what is listed, what is imported, how errors are told and with which code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from modelyard import errors
from modelyard.cli import main as entry
from modelyard.cli.exit_codes import TABLE, exit_code_of
from modelyard.cli.main import COMMANDS, cli
from modelyard.errors import ModelyardError
from support.folders import write_folder


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["modelyard", *arguments])
    with pytest.raises(SystemExit) as left:
        entry.main()
    assert isinstance(left.value.code, int)
    return left.value.code


def test_help_lists_every_command_and_imports_no_grpc() -> None:
    code = (
        "import sys\nfrom modelyard.cli.main import main\ntry:\n    main()\nexcept SystemExit:\n"
        "    print('LOADED', [n for n in ('grpc', 'google.protobuf', 'rich') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True)
    assert "LOADED []" in done.stdout
    assert all(f"  {name} " in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help(name: str) -> None:
    done = CliRunner().invoke(cli, [name, "--help"])
    assert done.exit_code == 0, done.output
    assert "Usage:" in done.output


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in {"up", "tokens", "depot"}])
def test_every_command_prints_json_where_asked(name: str) -> None:
    assert "--json" in CliRunner().invoke(cli, [name, "--help"]).output


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.PredictionFailed("x"), 1),
        (errors.BuildFailed("x"), 8),
        (errors.CheckpointsFailed("x"), 7),
        (errors.ModelLoadFailed("x"), 9),
        (errors.InvalidModelOutput("x"), 10),
        (errors.WorkerCrashed("x"), 11),
        (errors.InvalidConfig("x"), 2),
        (errors.Unauthenticated("x"), 3),
        (errors.ModelNotFound("x"), 4),
        (errors.ModelBusy("x"), 5),
        (errors.DeadlineExceeded("x"), 5),
        (errors.Conflict("x"), 6),
        (errors.InternalError("x"), 70),
        (errors.Cancelled("x"), 130),
    ],
)
def test_the_exit_code_tells_the_cause(error: ModelyardError, code: int) -> None:
    assert exit_code_of(error) == code


def test_no_row_of_the_table_hides_behind_an_earlier_one() -> None:
    for number, (kind, _, _) in enumerate(TABLE):
        assert not any(issubclass(kind, above) for above, _, _ in TABLE[:number]), kind


def test_an_error_is_told_with_its_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, "check", str(tmp_path / "gone")) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "error:" in told.err
    assert "  next: name the folder" in told.err


def test_with_json_the_error_is_json_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, "check", str(tmp_path / "gone"), "--json") == 2
    told = json.loads(capsys.readouterr().err)["error"]
    assert told["type"] == "InvalidFolder"


def test_a_wrong_option_is_a_usage_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(monkeypatch, "check", "--nonsense") == 2
    assert "--nonsense" in capsys.readouterr().err


def test_with_json_a_wrong_option_is_told_in_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, "check", "--nonsense", "--json") == 2
    told = json.loads(capsys.readouterr().err)["error"]
    assert "--nonsense" in told["message"]
    assert told["hint"].endswith("check --help")


def tell_on_a_terminal(folder: Path, **environment: str) -> str:
    """What an error looks like where stderr is a terminal."""
    ours, theirs = os.openpty()
    code = "from modelyard.cli.main import main; main()"
    with os.fdopen(ours, "rb", 0) as terminal:
        subprocess.run(
            [sys.executable, "-c", code, "check", str(folder)],
            env={**os.environ, "TERM": "xterm", **environment},
            stderr=theirs,
            check=False,
        )
        os.close(theirs)
        return terminal.read(4096).decode()


def test_no_color_is_honoured_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[" in tell_on_a_terminal(tmp_path / "gone")
    assert "\x1b[" not in tell_on_a_terminal(tmp_path / "gone", NO_COLOR="1")


def test_an_interruption_has_its_own_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "main", interrupt)
    assert run_main(monkeypatch, "models") == 130
    assert capsys.readouterr().err == "interrupted\n"
    assert run_main(monkeypatch, "models", "--json") == 130
    assert json.loads(capsys.readouterr().err)["error"]["type"] == "Cancelled"


def test_without_a_server_the_next_step_is_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CLARIFAI_API_BASE", raising=False)
    monkeypatch.setenv("MODELYARD_DATA_DIR", str(tmp_path))
    assert run_main(monkeypatch, "models") == exit_code_of(errors.Unavailable("x"))
    assert "modelyard up" in capsys.readouterr().err


def test_check_says_that_a_folder_is_fine(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["check", str(write_folder(tmp_path))])
    assert (done.exit_code, "echo (text-to-text) is fine" in done.output) == (0, True)


def test_check_prints_one_json_document(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["check", str(write_folder(tmp_path)), "--json"])
    assert json.loads(done.stdout)["model_id"] == "echo"


def test_a_fault_of_ours_is_told_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODELYARD_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("CLARIFAI_API_BASE", raising=False)
    (tmp_path / "server.json").write_text("[")
    assert run_main(monkeypatch, "env") == 70
    assert "JSONDecodeError" in capsys.readouterr().err
