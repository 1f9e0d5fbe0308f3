"""Where packages come from: uv's settings, else pip's, and the author's options before both."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.parts.indexes import Indexes, read_indexes
from modelyard.parts.requirement_options import Option


@pytest.fixture
def pip_file(tmp_path: Path) -> Path:
    path = tmp_path / "pip.conf"
    path.write_text(
        "[global]\nindex-url = https://pip/simple\nextra_index_url = https://a/simple\n    https://b/simple\n"
        "find-links = /wheels\ncert = /ca.pem\n[install]\nfind-links = /other /more\n"
    )
    return path


def test_settings_of_pip_are_used_where_uv_has_none(pip_file: Path) -> None:
    assert read_indexes({"PIP_CONFIG_FILE": str(pip_file)}) == Indexes(
        default="https://pip/simple",
        extra=("https://a/simple", "https://b/simple"),
        find_links=("/other", "/more"),
        certificates="/ca.pem",
    )


def test_variables_of_pip_win_over_its_files(pip_file: Path) -> None:
    environ = {"PIP_CONFIG_FILE": str(pip_file), "PIP_INDEX_URL": "https://v/simple", "PIP_FIND_LINKS": "/v"}
    indexes = read_indexes(environ)
    assert (indexes.default, indexes.find_links) == ("https://v/simple", ("/v",))


def test_settings_of_uv_win_over_pip(pip_file: Path) -> None:
    environ = {
        "PIP_CONFIG_FILE": str(pip_file),
        "UV_INDEX_URL": "https://u/simple",
        "UV_EXTRA_INDEX_URL": "https://x/simple https://y/simple",
        "UV_FIND_LINKS": "/u,/w",
        "SSL_CERT_FILE": "/u.pem",
    }
    assert read_indexes(environ) == Indexes(
        default="https://u/simple",
        extra=("https://x/simple", "https://y/simple"),
        find_links=("/u", "/w"),
        certificates="/u.pem",
    )


def test_pip_file_can_be_switched_off() -> None:
    assert read_indexes({"PIP_CONFIG_FILE": "/dev/null"}) == Indexes()


def test_a_broken_pip_file_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("index-url = without section\n")
    assert "bad" not in read_indexes({"PIP_CONFIG_FILE": str(tmp_path / "pip.conf")}).default


def test_options_of_the_author_come_first_and_the_operators_stay() -> None:
    operator = Indexes(default="https://o/simple", extra=("https://e/simple",), find_links=("/wheels",))
    options = (
        Option(name="--index-url", value="https://author/simple"),
        Option(name="--extra-index-url", value="https://more/simple"),
    )
    assert operator.with_options(options).to_environment() == {
        "UV_DEFAULT_INDEX": "https://author/simple",
        "UV_INDEX": "https://more/simple https://e/simple",
        "UV_FIND_LINKS": "/wheels",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }
