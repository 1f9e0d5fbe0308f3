"""The reference says what the code does."""

from __future__ import annotations

import pytest

from support.reference import FOLDER, PAGES


@pytest.mark.parametrize("page", PAGES)
def test_reference_has_not_drifted(page: str) -> None:
    assert (FOLDER / page).read_text() == PAGES[page](), "run script/update-reference"
