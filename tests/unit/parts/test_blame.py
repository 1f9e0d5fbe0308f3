"""From uv's report to the line of requirements.txt."""

from __future__ import annotations

import pytest

from modelyard.parts.blame import explain_failure
from modelyard.parts.requirements import parse_requirements

REQUIREMENTS = parse_requirements("# models\nnumpy==1.26.4\nscikit_learn==1.5.0\nscipy<1.0\nsix\n")


def report(text: str) -> tuple[str, ...]:
    return tuple(text.splitlines())


NOT_FOUND = """\
error: No solution found when resolving dependencies
  cause: Because there is no version of numpy==1.26.4 and you require numpy==1.26.4, we can conclude that your \
requirements are unsatisfiable."""
CONFLICT = """\
error: No solution found when resolving dependencies
  cause: Because scikit-learn==1.5.0 depends on scipy>=1.6.0 and you require scikit-learn==1.5.0, we can conclude that \
you require scipy>=1.6.0.
         And because you require scipy<1.0, we can conclude that your requirements are unsatisfiable."""
UNPARSED = """\
error: Couldn't parse requirement in `requirements.txt` at position 15
  cause: Expected something else"""
UNBUILT = """\
error: Failed to build `six==1.0`
  cause: The build backend returned an error"""
NETWORK = """\
error: Failed to fetch: `https://host/simple/other/`
  cause: dns error: failed to lookup address information"""


@pytest.mark.parametrize(
    ("text", "start"),
    [
        (NOT_FOUND, "requirements.txt line 2: 'numpy==1.26.4' could not be resolved: Because there is no version"),
        (CONFLICT, "requirements.txt line 3: 'scikit_learn==1.5.0' and requirements.txt line 4: 'scipy<1.0' could not"),
        (UNPARSED, "requirements.txt line 3: 'scikit_learn==1.5.0' could not be resolved: Expected something else"),
        (UNBUILT, "requirements.txt line 5: 'six' could not be resolved: The build backend returned an error"),
        (NETWORK, "the packages could not be resolved, a package index cannot be reached: dns error"),
        ("", "the packages of requirements.txt could not be resolved: uv said nothing"),
        ("error: strange", "the packages of requirements.txt could not be resolved: strange"),
    ],
)
def test_the_line_is_named(text: str, start: str) -> None:
    error = explain_failure("could not be resolved", REQUIREMENTS, report(text))
    assert error.message.startswith(start)
    assert error.details == text


def test_the_whole_reason_is_told() -> None:
    error = explain_failure("could not be resolved", REQUIREMENTS, report(CONFLICT))
    assert "depends on scipy>=1.6.0" in error.message
    assert error.message.endswith("your requirements are unsatisfiable.")


def test_advice_of_uv_becomes_the_hint() -> None:
    error = explain_failure("could not be installed", REQUIREMENTS, report(UNBUILT + "\nhint: install `libx`"))
    assert error.hint == "install `libx`"
    assert "hint" not in error.message
