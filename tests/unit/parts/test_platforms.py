"""A folder that is made for another machine is told so."""

from __future__ import annotations

import pytest

from modelyard.parts.platforms import explain_platforms, name_platform


@pytest.mark.parametrize("wanted", [(), ("linux/amd64",), ("linux/arm64", "linux/amd64"), ("Linux/AMD64/v3",)])
def test_what_fits_is_not_mentioned(wanted: tuple[str, ...]) -> None:
    assert explain_platforms(wanted, "linux/amd64") == ""


def test_another_platform_is_named_with_this_one() -> None:
    told = explain_platforms(("linux/arm64", "linux/ppc64le"), "linux/amd64")
    assert told.startswith("build_info.platform: linux/arm64, linux/ppc64le is not this machine, which is linux/amd64;")


def test_this_machine_has_a_name() -> None:
    assert name_platform().startswith("linux/")
    assert explain_platforms((name_platform(),)) == ""
