"""Check a model folder: the same check on the author's machine and on the server."""

from __future__ import annotations

import ast
import sys
import warnings as python_warnings
from dataclasses import dataclass
from pathlib import Path

from modelyard.config.load import load_config
from modelyard.config.schema import FolderConfig
from modelyard.errors import InvalidConfig, InvalidFolder, InvalidRequest
from modelyard.parts.platforms import explain_platforms
from modelyard.parts.requirements import MAX_BYTES as MAX_REQUIREMENTS_BYTES
from modelyard.parts.requirements import Requirements, parse_requirements

CONFIG, REQUIREMENTS, MODEL = "config.yaml", "requirements.txt", "1/model.py"
MAX_CONFIG_BYTES = 256 * 1024
MAX_MODEL_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class CheckedFolder:
    """A folder that can be built."""

    config: FolderConfig
    requirements: Requirements
    warnings: tuple[str, ...]
    """What the author may have meant otherwise, one line each."""
    notes: tuple[str, ...] = ()
    """How something was understood, one line each."""


def check_folder(folder: Path, *, is_multi_user: bool = False) -> CheckedFolder:
    """Check that a folder has what a model needs, without running any of it.

    Raises:
        InvalidConfig: Only config.yaml is wrong; the message has all of its problems.
        InvalidFolder: Anything else; the message has all problems of all files, one a line.
    """
    if not folder.is_dir():
        raise InvalidFolder(f"{folder} is not a folder", hint="name the folder that holds config.yaml and 1/model.py")
    check = _Check(folder)
    config = check.read_config()
    requirements = check.read_requirements(is_multi_user=is_multi_user)
    check.check_model(config.python_version if config else "")
    if check.problems or config is None or requirements is None:
        raise check.refuse()
    if told := explain_platforms(config.platforms):
        check.warnings.append(f"{CONFIG}: {told}")
    return CheckedFolder(
        config=config,
        requirements=requirements,
        warnings=(*check.warnings, *requirements.warnings),
        notes=tuple(check.notes),
    )


class _Check:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.problems: list[InvalidRequest] = []
        self.warnings: list[str] = []
        self.notes: list[str] = []

    def read_config(self) -> FolderConfig | None:
        try:
            loaded = load_config(self._read(CONFIG, MAX_CONFIG_BYTES))
        except InvalidRequest as problem:
            self.problems.append(problem)
            return None
        self.warnings += [f"{CONFIG}: {warning}" for warning in loaded.warnings]
        self.notes += [f"{CONFIG}: {note}" for note in loaded.notes]
        return loaded.config

    def read_requirements(self, *, is_multi_user: bool) -> Requirements | None:
        try:
            return parse_requirements(self._read(REQUIREMENTS, MAX_REQUIREMENTS_BYTES), is_multi_user=is_multi_user)
        except InvalidRequest as problem:
            self.problems.append(problem)
            return None

    def check_model(self, python_version: str) -> None:
        """Parse 1/model.py. A folder for a newer Python than ours is only warned about: its syntax may be newer."""
        try:
            problem = _find_syntax_error(self._read(MODEL, MAX_MODEL_BYTES))
        except InvalidRequest as missing:
            self.problems.append(missing)
            return
        if problem and _is_newer(python_version):
            self.warnings.append(f"{problem} in Python {sys.version_info[0]}.{sys.version_info[1]}, which checked it")
        elif problem:
            self.problems.append(InvalidFolder(problem))

    def refuse(self) -> InvalidRequest:
        """One error for all problems."""
        if len(self.problems) == 1:
            return self.problems[0]
        hints = {problem.hint: None for problem in self.problems if problem.hint}
        return InvalidFolder("\n".join(problem.message for problem in self.problems), hint="; ".join(hints))

    def _read(self, name: str, max_bytes: int) -> str:
        path = self._folder / name
        if not path.is_file():
            raise InvalidFolder(
                f"{name} is missing", hint="a model folder has config.yaml, requirements.txt and 1/model.py"
            )
        size = path.stat().st_size
        if size > max_bytes:
            raise InvalidFolder(f"{name} has {size} bytes; at most {max_bytes} are allowed")
        try:
            return path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            kind = InvalidConfig if name == CONFIG else InvalidFolder
            raise kind(f"{name} is not UTF-8 text (byte {error.start})") from None


def _find_syntax_error(source: str) -> str | None:
    try:
        with python_warnings.catch_warnings():
            python_warnings.simplefilter("ignore")
            ast.parse(source, MODEL)
    except SyntaxError as error:
        shown = f": {error.text.strip()[:120]}" if error.text else ""
        return f"{MODEL} line {error.lineno}: {error.msg}{shown}"
    except (ValueError, RecursionError, MemoryError) as error:
        return f"{MODEL}: it cannot be parsed ({type(error).__name__}: {error})"
    return None


def _is_newer(python_version: str) -> bool:
    numbers = python_version.split(".")
    if len(numbers) < 2 or not all(number.isdigit() for number in numbers):
        return False
    return tuple(map(int, numbers[:2])) > sys.version_info[:2]
