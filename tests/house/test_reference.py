"""The reference says what the code does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support import reference


@pytest.fixture(scope="module")
def written_now(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages as a fresh process writes them: click remembers what help looked like the first time."""
    folder = tmp_path_factory.mktemp("reference")
    subprocess.run([sys.executable, reference.__file__, str(folder)], check=True)
    return folder


@pytest.mark.parametrize("page", reference.PAGES)
def test_reference_has_not_drifted(written_now: Path, page: str) -> None:
    written = (reference.FOLDER / page).read_text()
    assert written == (written_now / page).read_text(), "run script/update-reference"
