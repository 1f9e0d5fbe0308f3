"""Puts the `clarifai` modules of Modelyard on the path, beside a published SDK and never over it.

The wheel keeps them in `modelyard_clarifai/clarifai`, and a `.pth` file calls `join_path` when Python starts: where no
published SDK is installed, they are found; where one is, it stays what `import clarifai` finds. Only the guide's two
commands, `python -m clarifai.runners.models.model_run_locally` and `model_upload`, are then Modelyard's: today's SDK
does nothing when its modules of these names are run. Imports are few on purpose: every start of Python pays for them.
"""

from __future__ import annotations

import os
import sys

CHOICE = "MODELYARD_CLARIFAI"
"""Set to `published`, the published SDK runs its own modules."""
COMMANDS = ("clarifai.runners.models.model_run_locally", "clarifai.runners.models.model_upload")


def join_path() -> None:
    """Called by the `.pth` file at every start of Python."""
    folder = os.path.dirname(os.path.abspath(__file__))
    if not os.path.isdir(os.path.join(folder, "clarifai")):
        return  # a checkout: the modules lie on the path by themselves
    published = find_published(sys.path, folder)
    if not published:
        sys.path.append(folder)
    elif runs_command(sys.orig_argv) and os.environ.get(CHOICE) != "published":
        sys.path.insert(0, folder)
        _tell(published)


def find_published(path: list[str], folder: str) -> str:
    """Where another `clarifai` package is; "" where there is none."""
    for root in path:
        place = os.path.join(root, "clarifai")
        if root != folder and os.path.isfile(os.path.join(place, "__init__.py")):
            return place
    return ""


def runs_command(arguments: list[str]) -> bool:
    """Was Python started as one of the guide's two commands?"""
    for option, value in zip(arguments, [*arguments[1:], ""], strict=True):
        if option == "-m":
            return value in COMMANDS
        if option.startswith("-m"):
            return option[2:] in COMMANDS
    return False


def _tell(published: str) -> None:
    version = find_version(os.path.dirname(published))
    sys.stderr.write(
        f"note: the published clarifai{version} is installed here, too. This command is Modelyard's; `import clarifai` "
        f"stays the published SDK. Its own command: {CHOICE}=published\n"
    )


def find_version(root: str) -> str:
    """The published SDK's version with a blank in front, by the name of its metadata; "" where it has none."""
    for name in sorted(os.listdir(root)):
        if name.startswith("clarifai-") and name.endswith(".dist-info"):
            return " " + name[len("clarifai-") : -len(".dist-info")]
    return ""
