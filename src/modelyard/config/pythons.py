"""Which Python versions config.yaml may ask for, and the ways in which people write them."""

from __future__ import annotations

import re

from modelyard.config.rules import Rule

PYTHON_VERSIONS = ("3.10", "3.11", "3.12", "3.13")
_FULL = re.compile(r"(3\.\d{1,2})\.\d{1,3}", re.ASCII)
_LOOSE = re.compile(r"\s*(?:cpython|python|py|[~=>^v]*)[-=\s]*3\.?([0-9]{1,2})(?:\.[0-9x*]{1,3})?\s*", re.IGNORECASE)


def read_minor(text: str) -> str:
    """Return `3.11` of `3.11.7`, which no machine can be relied on to have; other text is returned as it is."""
    full = _FULL.fullmatch(text)
    return full[1] if full else text


def _complain(text: str) -> str:
    if read_minor(text) in PYTHON_VERSIONS:
        return ""
    allowed = f"use one of {PYTHON_VERSIONS[0]}-{PYTHON_VERSIONS[-1]}"
    meant = _mend(text)
    return f"is not supported; did you mean {meant}? Otherwise {allowed}" if meant else f"is not supported; {allowed}"


def _mend(text: str) -> str:
    """People write python3.11, py311 or >=3.11; and 3.10 becomes 3.1 where a tool reads it as a number."""
    if text == "3.1":
        return "3.10"
    found = _LOOSE.fullmatch(text)
    minor = f"3.{found[1]}" if found else ""
    return minor if minor in PYTHON_VERSIONS and minor != text else ""


PYTHON_RULE = Rule(
    complain=_complain,
    mend=_mend,
    schema={
        "anyOf": [
            {"enum": list(PYTHON_VERSIONS)},
            {"type": "string", "pattern": r"^3\.(?:10|11|12|13)\.[0-9]{1,3}$"},
            {"type": "number", "enum": [3.11, 3.12, 3.13]},
        ]
    },
)
