"""Start a model folder from a template: all of its files, or none."""

from __future__ import annotations

import os
import re
import shlex
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modelyard.config.identifiers import ID_RULE, MAX_ID_LENGTH, is_valid_id
from modelyard.config.schema_file import SCHEMA_PATH, add_schema_line, read_schema
from modelyard.errors import Conflict, InvalidFolder, InvalidRequest
from modelyard.local.catalog import FOLDER, Template
from modelyard.local.placing import place_files
from modelyard.parts.folder import CONFIG

SHARED = (".modelyardignore",)
"""Files that every template has, the same in each."""
MAY_BE_THERE = frozenset({".git"})
"""A folder with nothing else in it counts as empty."""
MAX_NAMED = 3
_PLACEHOLDER = re.compile(r"@([A-Z_]+)@")
_REPOSITORY = re.compile(r"(?!.*\.\.)[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Start:
    """What to start: a template, and what its config.yaml is to say."""

    template: Template
    model_id: str
    python_version: str
    user_id: str = ""
    app_id: str = ""
    checkpoint: str = ""
    """A repository of a model hub, `owner/name`; "" is the template that needs none."""

    def check(self) -> None:
        """Raises InvalidRequest with all that is wrong, one a line."""
        ids = {"--model-id": self.model_id, "--user-id": self.user_id, "--app-id": self.app_id}
        problems = [
            f"{option}: {value!r} is not a valid id; use {ID_RULE}"
            for option, value in ids.items()
            if value and not is_valid_id(value)
        ]
        if self.checkpoint and not _REPOSITORY.fullmatch(self.checkpoint):
            problems.append(f"--checkpoint: {self.checkpoint!r} is not a repository; use owner/name")
        if problems:
            raise InvalidRequest("\n".join(problems))


def choose_model_id(folder: Path, template: Template) -> str:
    """A valid id like the folder's name: `Mein Modell (2)` is `mein-modell-2`; the template's where nothing is left."""
    name = folder.absolute().resolve().name
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    found = re.sub(r"[^a-z0-9._]+", "-", plain).strip("-.")[:MAX_ID_LENGTH].rstrip("-.")
    return found or template.name


def start_folder(folder: Path, start: Start, *, is_forced: bool = False) -> tuple[str, ...]:
    """Write a folder from a template.

    Args:
        folder: Where; it and the folders above it are made where they are missing.
        start: What.
        is_forced: Write into a folder that has files, and over those with the same names.

    Returns:
        The paths of the files, relative to the folder.

    Raises:
        InvalidRequest: An id or the repository is not valid.
        Conflict: The folder is not empty.
        InvalidFolder: It cannot be written.

    Whatever is raised, the folder is as it was before.
    """
    start.check()
    files = render(start)
    target = folder.absolute().resolve()
    _check_free(folder, target, is_forced=is_forced)
    _check_files(folder, target, files)
    try:
        place_files(target, files)
    except OSError as error:
        raise InvalidFolder(
            f"{folder} cannot be written: {error.strerror or error}", hint="choose a folder that you may write to"
        ) from error
    return tuple(sorted(files))


def render(start: Start) -> dict[str, bytes]:
    """The files of a template, by their paths."""
    source = start.template.folder(is_checkpoint=bool(start.checkpoint))
    found = {path.relative_to(source).as_posix(): path for path in source.rglob("*") if _is_wanted(path)}
    found |= {name: FOLDER / name for name in SHARED}
    words = _list_words(start)
    files = {name: _fill_in(path, words) for name, path in found.items()}
    files[CONFIG] = add_schema_line(files[CONFIG].decode()).encode()
    return files | {SCHEMA_PATH: read_schema()}


def _is_wanted(path: Path) -> bool:
    """Installers compile Python files, those of templates, too."""
    return path.is_file() and "__pycache__" not in path.parts


def _list_words(start: Start) -> dict[str, str]:
    places = [f'\n  {key}: "{value}"' for key, value in (("user_id", start.user_id), ("app_id", start.app_id)) if value]
    return {
        "MODEL_ID": start.model_id,
        "PLACE": "".join(places),
        "PYTHON": start.python_version,
        "CHECKPOINT": start.checkpoint,
        "EXAMPLE": join_command(start.template.example),
    }


def join_command(words: tuple[str, ...]) -> str:
    """Words as a shell takes them: in the double quotes that people write, where those say the same."""
    return " ".join(_quote(word) for word in words)


def _quote(word: str) -> str:
    if re.fullmatch(r"[\w./:@=,+-]+", word):
        return word
    return shlex.quote(word) if re.search(r'["$`\\!]', word) else f'"{word}"'


def _fill_in(path: Path, words: Mapping[str, str]) -> bytes:
    content = path.read_bytes()
    if path.suffix not in (".yaml", ".md"):
        return content
    return _PLACEHOLDER.sub(lambda found: words[found[1]], content.decode()).encode()


def _check_free(folder: Path, target: Path, *, is_forced: bool) -> None:
    if not os.path.lexists(target):
        return
    if not target.is_dir():
        raise InvalidFolder(f"{folder} is a file", hint="name a folder that is new or empty")
    there = sorted(path.name for path in target.iterdir() if path.name not in MAY_BE_THERE)
    if there and not is_forced:
        more = f" and {len(there) - MAX_NAMED} more" if len(there) > MAX_NAMED else ""
        raise Conflict(
            f"{folder} is not empty: it has {', '.join(there[:MAX_NAMED])}{more}; nothing was written",
            hint="name a new folder, or add --force to write into this one, over files of the same names",
        )


def _check_files(folder: Path, target: Path, files: Mapping[str, bytes]) -> None:
    """Files are replaced, if that is wanted; folders never are."""
    in_the_way = [name for name in files if (target / name).is_dir()]
    in_the_way += sorted({place.name for name in files if (place := (target / name).parent).is_file()})
    if in_the_way:
        raise Conflict(
            f"{folder} has in the way: {', '.join(in_the_way)}; nothing was written", hint="move that out of the way"
        )
