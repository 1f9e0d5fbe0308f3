from __future__ import annotations

import io

import pytest
from rich.console import Console

from modelyard.cli.progress import watch_download


def make_terminal() -> tuple[Console, io.StringIO]:
    written = io.StringIO()
    return Console(file=written, force_terminal=True, width=100, color_system="standard", _environ={}), written


def test_a_bar_shows_the_file_and_how_much_of_all_is_there() -> None:
    console, written = make_terminal()
    with watch_download(console) as watching:
        assert watching.progress is not None
        watching.progress(0, 10_000_000, "")
        watching.progress(2_500_000, 10_000_000, "model-00001-of-00002.safetensors")
    assert "model-00001-of-00002.safetensors" in written.getvalue()
    assert "2.5/10.0 MB" in written.getvalue()


def test_without_a_byte_there_is_no_bar() -> None:
    console, written = make_terminal()
    with watch_download(console) as watching:
        watching.tell("Checkpoints of owner/name: all of it is here")
    assert "━" not in written.getvalue()
    assert "Checkpoints of owner/name: all of it is here" in written.getvalue()


def test_a_bar_that_is_full_goes() -> None:
    console, written = make_terminal()
    with watch_download(console) as watching:
        assert watching.progress is not None
        watching.progress(5, 10, "a[b].json")
        watching.progress(10, 10, "a[b].json")
        watching.tell("Placed")
    assert written.getvalue().rstrip().endswith("\x1b[?25h")


def test_warnings_stand_out_and_markup_is_text() -> None:
    console, written = make_terminal()
    with watch_download(console) as watching:
        watching.tell("Warning: a [red]file[/red] is odd")
    assert "\x1b[33mWarning: a [red]file[/red] is odd" in written.getvalue()


def test_long_names_are_shown_by_their_end() -> None:
    console, written = make_terminal()
    with watch_download(console) as watching:
        assert watching.progress is not None
        watching.progress(1, 10, "a/very/long/folder/name/that/goes/on/and/on/model.safetensors")
    assert "...name/that/goes/on/and/on/model.safetensors"[-37:] in written.getvalue()


def test_a_pipe_gets_lines_only(capsys: pytest.CaptureFixture[str]) -> None:
    with watch_download() as watching:
        assert watching.progress is None
        watching.tell("Downloaded 1.0 MB of 2.0 MB")
    assert capsys.readouterr().err == "Downloaded 1.0 MB of 2.0 MB\n"
