"""The reference says what the code does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from modelyard.config.schema_file import INSTALLED
from support import reference


@pytest.fixture(scope="module")
def written_now(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages as a fresh process writes them: click remembers what help looked like the first time."""
    folder = tmp_path_factory.mktemp("reference")
    tests = Path(reference.__file__).parents[1]
    subprocess.run([sys.executable, "-m", "support.reference", str(folder)], check=True, cwd=tests)
    return folder


@pytest.mark.parametrize("page", reference.PAGES)
def test_reference_has_not_drifted(written_now: Path, page: str) -> None:
    written = (reference.FOLDER / page).read_text()
    assert written == (written_now / page).read_text(), "run script/update-reference"


def test_the_schema_that_is_installed_is_the_one_of_the_reference(written_now: Path) -> None:
    assert INSTALLED.read_text() == (written_now / "config.schema.json").read_text(), "run script/update-reference"
