"""Running in the Python that runs Modelyard: which requirements of a folder it does not meet."""

from __future__ import annotations

import importlib.metadata
import sys

from packaging.requirements import InvalidRequirement, Requirement

from modelyard.parts.requirements import parse_requirements


def find_unmet(requirements_text: str, python_version: str) -> tuple[str, ...]:
    """A line for each requirement that is not installed here as the folder asks for it, and one for another Python."""
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    lines = []
    if python_version and not (python_version + ".").startswith(here + "."):
        lines.append(f"--in-place: this is Python {here}, build_info.python_version asks for {python_version}")
    wanted = ((line.number, _find_problem(line.text)) for line in parse_requirements(requirements_text).lines)
    lines += [f"--in-place: requirements.txt line {number}: {problem}" for number, problem in wanted if problem]
    return tuple(lines)


def _find_problem(text: str) -> str:
    try:
        wanted = Requirement(text)
    except InvalidRequirement:
        return f"{text} cannot be compared with what is installed here"
    if wanted.marker is not None and not wanted.marker.evaluate():
        return ""
    try:
        installed = importlib.metadata.version(wanted.name)
    except importlib.metadata.PackageNotFoundError:
        return f"{wanted.name} is not installed here"
    if wanted.url is None and not wanted.specifier.contains(installed, prereleases=True):
        return f"{wanted.name}{wanted.specifier} is asked for, {installed} is installed here"
    return ""
