"""Read config.yaml: all of its problems at once, each with key path, line, value and what is allowed."""

from __future__ import annotations

from dataclasses import dataclass

from modelyard.config import sections
from modelyard.config.keys import HOMES, TOP
from modelyard.config.problems import Problem, Problems
from modelyard.config.schema import FolderConfig
from modelyard.config.section import Section
from modelyard.config.tree import Table, UnreadableError, read_tree

__all__ = ["LoadedConfig", "Problem", "load_config"]


@dataclass(frozen=True, kw_only=True)
class LoadedConfig:
    """A config that can be used, and what the author may have meant otherwise."""

    config: FolderConfig
    warnings: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()
    """How it was understood, and what other tools would understand: for who asks."""


def load_config(text: str, *, source: str = "config.yaml") -> LoadedConfig:
    """Read and check the text of a config.yaml.

    Args:
        text: The whole file.
        source: What to call it in messages.

    Raises:
        InvalidConfig: The message lists every problem, one a line.
    """
    problems = Problems()
    try:
        config = _read(text, problems)
    except UnreadableError:
        raise problems.refuse(source) from None
    if problems.errors:
        raise problems.refuse(source)
    return LoadedConfig(config=config, warnings=problems.warnings, notes=problems.notes)


def find_problems(text: str) -> Problems:
    """Read a config.yaml for what can be mended: all problems, with edits where the right text is certain."""
    problems = Problems()
    try:
        _read(text, problems)
    except UnreadableError:
        problems.is_unreadable = True
    return problems


def _read(text: str, problems: Problems) -> FolderConfig:
    root = read_tree(text, problems)
    if not isinstance(root, Table):
        problems.add("", root.line, "this is not a mapping; start with `model:` and its keys below it, indented")
        raise UnreadableError
    top = Section(root, TOP, "", problems, HOMES)
    model = sections.read_model(top)
    sections.check_concepts(top, model)
    python_version, platforms = sections.read_build(top)
    return FolderConfig(
        model=model,
        compute=sections.read_compute(top),
        concepts=sections.read_concepts(top),
        checkpoints=sections.read_checkpoints(top),
        secrets=sections.read_secrets(top),
        python_version=python_version,
        platforms=platforms,
        num_threads=top.whole_number("num_threads"),
        batching=sections.read_batching(top),
    )
