"""How the interpreter that runs us was built."""

from __future__ import annotations

import sysconfig

import pytest

from modelyard.parts.pythons import is_optimised


@pytest.mark.parametrize(
    ("arguments", "prefix", "expected"),
    [
        ("'--enable-shared' '--enable-optimizations' '--with-lto'", "/opt/python", True),
        ("'--enable-shared'", "/opt/python", False),
        ("", "/home/me/.pyenv/versions/3.11.7", False),
        ("'--enable-shared' '--prefix=/usr'", "/usr", True),
        (None, "/opt/python", True),
    ],
)
def test_optimised_is_what_says_so_or_comes_from_a_distribution_or_does_not_tell(
    monkeypatch: pytest.MonkeyPatch, arguments: str | None, prefix: str, expected: bool
) -> None:
    monkeypatch.setattr(sysconfig, "get_config_var", {"CONFIG_ARGS": arguments}.get)
    monkeypatch.setattr("sys.base_prefix", prefix)
    assert is_optimised() is expected
