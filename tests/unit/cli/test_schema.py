"""`modelyard schema`: printed, or given to a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from modelyard.config.schema_file import SCHEMA_LINE, SCHEMA_PATH
from modelyard.errors import InvalidFolder


def test_the_schema_is_printed(run: Any) -> None:
    assert json.loads(run("schema").stdout)["title"] == "config.yaml of a model folder"


def test_a_folder_is_given_the_schema_once(run: Any, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("model: {id: m}\n")
    assert run("schema", str(tmp_path)).stdout.splitlines() == [
        f"written: {tmp_path / 'config.yaml'}",
        f"written: {tmp_path / SCHEMA_PATH}",
    ]
    assert (tmp_path / "config.yaml").read_text().splitlines()[0] == SCHEMA_LINE
    assert "has it already: yaml-language-server: $schema=.modelyard/" in run("schema", str(tmp_path)).stdout
    assert json.loads(run("schema", str(tmp_path), "--json").stdout) == {"written": []}


def test_a_folder_without_a_config_is_refused(run: Any, tmp_path: Path) -> None:
    assert isinstance(run("schema", str(tmp_path)).exception, InvalidFolder)
