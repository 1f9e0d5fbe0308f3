"""Read config.yaml: all of its problems at once, each with key path, line, value and what is allowed."""

from __future__ import annotations

from dataclasses import dataclass

from modelyard.config import sections
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
    return LoadedConfig(config=config, warnings=problems.warnings)


def _read(text: str, problems: Problems) -> FolderConfig:
    root = read_tree(text, problems)
    if not isinstance(root, Table):
        problems.add("", root.line, "this is not a mapping; start with `model:` and its keys below it, indented")
        raise UnreadableError
    top = Section(root, "", problems)
    top.warn_unread(sections.TOP_KEYS, sections.IDLE_TOP, sections.HOMES)
    model = sections.read_model(top)
    sections.check_concepts(top, model)
    return FolderConfig(
        model=model,
        compute=sections.read_compute(top),
        concepts=sections.read_concepts(top),
        checkpoints=sections.read_checkpoints(top),
        python_version=sections.read_python_version(top),
        num_threads=sections.read_num_threads(top),
    )
