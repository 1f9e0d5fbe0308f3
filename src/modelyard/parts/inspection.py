"""What can be said of a folder's code without running it: for the author's machine, before anything is sent."""

from __future__ import annotations

from pathlib import Path

from modelyard.parts.folder import MODEL, CheckedFolder
from modelyard.parts.imports import check_imports
from modelyard.parts.source import check_model_source, read_source


def inspect_code(folder: Path, checked: CheckedFolder) -> tuple[str, ...]:
    """What a worker would stumble over in the code of a folder that is right otherwise, one line each."""
    tree = read_source((folder / MODEL).read_text(encoding="utf-8-sig"))
    if tree is None:
        return ()
    found = [f"{MODEL} line {line}: {told}" for line, told in check_model_source(tree)]
    return (*found, *check_imports(folder, checked.requirements))
