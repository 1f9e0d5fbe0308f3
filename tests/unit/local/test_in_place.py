from __future__ import annotations

from importlib.metadata import version

from modelyard.local.in_place import find_unmet


def test_what_is_installed_as_asked_for_is_not_mentioned() -> None:
    text = "click\nPyYAML>=5 # parses\nno-such-thing; sys_platform == 'win32'\n"
    assert find_unmet(text, "") == ()


def test_everything_that_differs_is_named_with_its_line() -> None:
    python, missing, older = find_unmet("\nno-such-thing==1\nclick<1\n", "3.9")
    assert "build_info.python_version asks for 3.9" in python
    assert missing.endswith("requirements.txt line 2: no-such-thing is not installed here")
    assert f"line 3: click<1 is asked for, {version('click')} is installed here" in older
