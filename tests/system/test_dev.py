"""`modelyard dev`: a development model is current on every save, and nothing that others use is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.folders import ECHO, write_folder
from support.server import CACHE, V2, RunningServer
from support.serving import Terminal, save


@pytest.fixture
def environ(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)


def says(v2: V2, model_id: str) -> str:
    return v2.predict(model_id, "hi").outputs[0].data.text.raw


@pytest.mark.usefixtures("environ")
def test_a_development_model_is_current_on_every_save(v2: V2, echo_version: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m", suffix="1")
    terminal = Terminal("dev", folder, "--delete", cache_dir=CACHE / "run")
    try:
        terminal.wait_for("main/echo-dev serves it")
        assert says(v2, "echo-dev") == "hi1"
        save(folder / "1" / "model.py", ECHO.format(suffix="2"))
        terminal.wait_for("1/model.py: local/main/echo-dev serves it")
        assert says(v2, "echo-dev") == "hi2"
        save(folder / "1" / "model.py", "import nothing_of_this_name\n")
        terminal.wait_for("error: ")
        terminal.wait_for("the next save is waited for")
        assert says(v2, "echo-dev") == "hi2"
        save(folder / "1" / "model.py", ECHO.format(suffix="3"))
        terminal.wait_for("1/model.py: local/main/echo-dev serves it", times=2)
        assert says(v2, "echo-dev") == "hi3"
        assert says(v2, "echo") == "hi"
    finally:
        code = terminal.interrupt()
    assert code == 0
    assert "local/main/echo-dev is deleted" in terminal.errors[-1]
    assert v2.predict("echo-dev", "hi").status.code != v2.predict("echo", "hi").status.code
    assert v2.predict("echo", "hi", version_id=echo_version).outputs[0].data.text.raw == "hi"
