"""Whose fault is it? From what uv says to the line of requirements.txt that caused it."""

from __future__ import annotations

import re

from modelyard.errors import BuildFailed
from modelyard.parts.requirements import RequirementLine, Requirements, normalise_name

_WORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_POSITION = re.compile(r"requirement in `[^`]*` at position (\d+)")
_NETWORK = re.compile(r"failed to fetch|error sending request|connection|dns error|timed? ?out|network", re.IGNORECASE)
DETAIL_LINES = 20


def explain_failure(what: str, requirements: Requirements, tail: tuple[str, ...]) -> BuildFailed:
    """Make the error of a failed run of uv.

    Args:
        what: What was being done: `could not be resolved`.
        requirements: What the author asked for.
        tail: The last lines that uv reported.
    """
    details = "\n".join(tail[-DETAIL_LINES:])
    text = "\n".join(tail)
    cause = _find_cause(tail)
    lines = find_lines(text, requirements)
    if lines:
        places = " and ".join(f"requirements.txt line {line.number}: {line.text!r}" for line in lines)
        return BuildFailed(f"{places} {what}: {cause}", hint=_find_hint(tail), details=details)
    if _NETWORK.search(text):
        return BuildFailed(
            f"the packages {what}, a package index cannot be reached: {cause}",
            hint="check the server's network and index settings, then upload again",
            details=details,
        )
    return BuildFailed(f"the packages of requirements.txt {what}: {cause}", hint=_find_hint(tail), details=details)


def find_lines(text: str, requirements: Requirements) -> list[RequirementLine]:
    """The author's lines that a report of uv is about; those that it says were asked for, before others."""
    if position := _POSITION.search(text):
        return _find_at(int(position[1]), requirements)
    flat = " ".join(text.split())
    required = " ".join(re.findall(r"you require (.*?)(?:, we can|, and |\.(?: |$)|$)", flat))
    for part in (required, flat):
        names = {normalise_name(word.split("==")[0]) for word in _WORD.findall(part)}
        found = [line for line in requirements.lines if line.name and line.name in names]
        if found:
            return found
    return []


def _find_at(position: int, requirements: Requirements) -> list[RequirementLine]:
    """The line at a byte of the text that uv was given."""
    start = 0
    for line in requirements.lines:
        start += len(line.text.encode()) + 1
        if position < start:
            return [line]
    return []


def _find_cause(tail: tuple[str, ...]) -> str:
    """uv's sentence that says why: the last `cause:` with what follows it, else the last line."""
    for index in range(len(tail) - 1, -1, -1):
        _, found, sentence = tail[index].partition("cause: ")
        if found:
            return " ".join([sentence, *(line.strip() for line in tail[index + 1 :] if _is_text(line))])[:600]
    errors = [line.split("error: ", 1)[1] for line in tail if "error: " in line]
    return (errors[-1] if errors else tail[-1].strip() if tail else "uv said nothing")[:600]


def _find_hint(tail: tuple[str, ...]) -> str:
    """What uv advises, where it does in one line."""
    return next((line.removeprefix("hint: ") for line in reversed(tail) if line.startswith("hint: ")), "")


def _is_text(line: str) -> bool:
    """Not a drawing of arrows, not a hint."""
    return line.startswith("   ") and any(one.isalnum() for one in line) and not line.strip().startswith("hint")
