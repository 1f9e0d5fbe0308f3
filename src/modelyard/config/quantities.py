"""Kubernetes quantities: `500m` and `2` of CPU, `13Gi` and `1500Mi` of memory, turned into whole numbers."""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal

from modelyard.errors import InvalidConfig

_MAX_TEXT = 32
_MAX_NUMBER = 2**63 - 1
_NUMBER = r"([0-9]+\.?[0-9]*|\.[0-9]+)"
_SHAPE = re.compile(_NUMBER + r"(?:[eE]([+-]?[0-9]{1,2})|([A-Za-z]*))")
CPU_PATTERN = _NUMBER + r"([eE][+-]?[0-9]{1,2}|[KMGTPE]i|[numkKMGTPE])?"
MEMORY_PATTERN = _NUMBER + r"([eE][+-]?[0-9]{1,2}|[KMGTPE]i|[kKMGTPE])?"
"""What the parsers below take, for the schema; their limits are not in it."""
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_CPU_ADVICE = "use a number of CPUs or thousandths of one, such as 2, 0.5 or 500m"
_MEMORY_ADVICE = "use bytes or a number with Ki, Mi, Gi, Ti or K, M, G, T, such as 1500Mi or 13Gi"


def parse_cpu_millis(text: str) -> int:
    """Return CPUs in thousandths, rounded up: `500m` is 500, `2` is 2000, `0.5` is 500.

    Raises:
        InvalidConfig: It is not a quantity of CPU; the message says what is.
    """
    number = _parse(text)
    if number is None or number > _MAX_NUMBER // 1000:
        meant = mend_cpu(text)
        advice = f"did you mean {meant}?" if meant and meant != text else _CPU_ADVICE
        raise InvalidConfig(f"{text[:_MAX_TEXT]!r} is not an amount of CPU; {advice}")
    return int((number * 1000).to_integral_value(rounding=ROUND_CEILING))


def parse_memory_bytes(text: str) -> int:
    """Return bytes, rounded up: `13Gi` is 13 * 2**30, `1G` is 10**9, `128974848` is itself.

    Raises:
        InvalidConfig: It is not a quantity of memory; the message says what is.
    """
    number = _parse(text)
    if number is None or number > _MAX_NUMBER or text.endswith(("m", "u", "n")):
        raise InvalidConfig(f"{text[:_MAX_TEXT]!r} is not an amount of memory; {_advise_memory(text)}")
    return int(number.to_integral_value(rounding=ROUND_CEILING))


def _parse(text: str) -> Decimal | None:
    match = _SHAPE.fullmatch(text) if len(text) <= _MAX_TEXT else None
    if match is None:
        return None
    digits, exponent, unit = match.groups()
    if exponent is not None:
        return Decimal(digits).scaleb(int(exponent))
    if unit in _BINARY:
        return Decimal(digits) * (1 << _BINARY[unit])
    unit = "k" if unit == "K" else unit
    return Decimal(digits).scaleb(_DECIMAL[unit]) if unit in _DECIMAL else None


def _advise_memory(text: str) -> str:
    meant = mend_memory(text)
    return f"did you mean {meant}?" if meant else _MEMORY_ADVICE


def mend_memory(text: str) -> str:
    """People write 13GB, 13gb, 13 Gi or 1500m; each has one meaning that they can have had. "" for anything else."""
    match = re.fullmatch(r"\s*([0-9.]{1,20})\s*([kKmMgGtT])(?:i?[bB]?)\s*", text)
    return f"{match[1]}{match[2].upper()}i" if match and _parse(match[1]) else ""


def mend_cpu(text: str) -> str:
    """The amount in `2 CPUs`, `4 vCPU`, `1 core` or `500 m`; "" for anything else."""
    match = re.fullmatch(r"\s*([0-9.]{1,20})\s*(m|)\s*(?:v?cpus?|cores?|)\s*", text, re.IGNORECASE)
    return f"{match[1]}{match[2].lower()}" if match and _parse(match[1]) else ""
