"""`modelyard run` on each of the examples, as an author tries them before uploading."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.examples import REPOS, copy_example, run_command
from support.hub import Hub

METHODS = {
    "image-classifier": ["predict", "stream"],
    "image-detector": ["predict", "generate", "stream"],
    "llm": ["predict", "generate", "stream"],
    "speech-recognition": ["predict", "generate", "stream"],
}


@pytest.mark.parametrize("name", sorted(REPOS))
def test_example_runs_on_the_authors_machine(name: str, hub: Hub, tmp_path: Path) -> None:
    folder = copy_example(name, tmp_path)
    done = run_command("run", str(folder), "--json", env={"HF_ENDPOINT": hub.url})
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert [step["method"] for step in report["steps"]] == METHODS[name]
    assert all(step["error"] is None for step in report["steps"]), report["steps"]
    assert (folder / "1" / "checkpoints" / "config.json").is_file()
