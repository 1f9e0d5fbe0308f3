"""Mend what is safe in a model folder: see what would change, then change all of it, or nothing."""

from __future__ import annotations

import difflib
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from modelyard.config.mend import mend_config
from modelyard.config.schema_file import SCHEMA_LINE, SCHEMA_PATH, add_schema_line, read_schema
from modelyard.errors import InvalidFolder
from modelyard.parts.folder import CONFIG, MAX_CONFIG_BYTES, REQUIREMENTS

OTHER_CONFIG = "config.yml"
_HIDDEN = re.compile(r"((?:hf_token|value)['\"]?\s*:\s*)([^\s,}#][^,}#]*)")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, kw_only=True)
class Fix:
    """One file that is to be written."""

    name: str
    before: bytes | None
    """None: it is not there."""
    after: bytes
    replaces: str = ""
    """A file of another name that it is made from, and that goes."""
    is_ours: bool = False
    """Not written by people, nor shown to them."""

    @property
    def diff(self) -> str:
        """What changes, as `diff -u` shows it; without tokens."""
        if self.is_ours:
            return f"--- /dev/null\n+++ b/{self.name}\n@@ written by modelyard @@"
        old = "" if self.before is None else _decode(self.before)
        before, after = _hide(old).splitlines(), _hide(_decode(self.after)).splitlines()
        source = "/dev/null" if self.before is None else f"a/{self.replaces or self.name}"
        lines = list(difflib.unified_diff(before, after, source, f"b/{self.name}", lineterm=""))
        return "\n".join(lines or (f"--- {source}", f"+++ b/{self.name}", f"@@ {_describe_invisible(self)} @@"))


def plan_fixes(folder: Path) -> tuple[Fix, ...]:
    """Say what can be mended for certain; nothing is written.

    config.yaml: what `config.mend` knows, its name and its encoding. requirements.txt: an empty one where none is. The
    schema that config.yaml names: today's.
    """
    if not folder.is_dir():
        return ()
    return tuple(_plan(folder))


def plan_schema(folder: Path) -> tuple[Fix, ...]:
    """Say what makes editors check and complete a folder's config.yaml: the schema, and the line that names it.

    Raises:
        InvalidFolder: There is no config.yaml that can be read.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise InvalidFolder(f"{folder} has no {CONFIG}", hint="modelyard init DIR starts a folder")
    before = path.read_bytes()
    try:
        after = add_schema_line(_decode(before)).encode()
    except UnicodeDecodeError:
        raise InvalidFolder(f"{path} is not UTF-8 text", hint="save it as UTF-8") from None
    line = (Fix(name=CONFIG, before=before, after=after),) if after != before else ()
    return (*line, *_plan_schema_file(folder))


def apply_fixes(folder: Path, fixes: tuple[Fix, ...]) -> None:
    """Write the files: all of them, or none. A file that is a link stays one; modes are kept.

    Raises:
        InvalidFolder: One cannot be written, or has changed since it was looked at.
    """
    written: list[tuple[Fix, Path]] = []
    try:
        for fix in fixes:
            _check_unchanged(folder, fix)
        for fix in fixes:
            target = (folder / fix.name).resolve()
            _write(target, fix.after, like=(folder / (fix.replaces or fix.name)))
            written.append((fix, target))
        for fix in fixes:
            if fix.replaces:
                (folder / fix.replaces).unlink()
    except OSError as error:
        _undo(written)
        raise InvalidFolder(
            f"{folder} cannot be written: {error.strerror or error}; nothing was changed",
            hint="choose a folder that you may write to",
        ) from error


def _plan(folder: Path) -> Iterator[Fix]:
    config = _plan_config(folder)
    if config:
        yield config
    if _names_schema(folder):
        yield from _plan_schema_file(folder)
    there = os.listdir(folder)  # noqa: PTH208 - names are enough
    if REQUIREMENTS not in there and not difflib.get_close_matches(REQUIREMENTS, map(str.lower, there), cutoff=0.85):
        yield Fix(name=REQUIREMENTS, before=None, after=b"")


def _plan_config(folder: Path) -> Fix | None:
    path, other = folder / CONFIG, folder / OTHER_CONFIG
    is_renamed = other.is_file() and not os.path.lexists(path)
    source = other if is_renamed else path
    if not source.is_file() or source.stat().st_size > MAX_CONFIG_BYTES:
        return None
    before = source.read_bytes()
    try:
        after = mend_config(_decode(before)).encode()
    except UnicodeDecodeError:
        return None
    if after == before and not is_renamed:
        return None
    return Fix(name=CONFIG, before=before, after=after, replaces=OTHER_CONFIG if is_renamed else "")


def _names_schema(folder: Path) -> bool:
    try:
        return SCHEMA_LINE.encode() in (folder / CONFIG).read_bytes()[:MAX_CONFIG_BYTES]
    except OSError:
        return False


def _plan_schema_file(folder: Path) -> Iterator[Fix]:
    path = folder / SCHEMA_PATH
    before = path.read_bytes() if path.is_file() else None
    if before != read_schema():
        yield Fix(name=SCHEMA_PATH, before=before, after=read_schema(), is_ours=True)


def _decode(content: bytes) -> str:
    return content.decode("utf-16" if content.startswith(_UTF_16) else "utf-8")


def _hide(text: str) -> str:
    return _HIDDEN.sub(r"\1[hidden]", text)


def _describe_invisible(fix: Fix) -> str:
    if fix.before is None:
        return "an empty file"
    if fix.replaces and fix.before == fix.after:
        return "renamed"
    return "saved as UTF-8" if fix.before.startswith(_UTF_16) else "line ends"


def _check_unchanged(folder: Path, fix: Fix) -> None:
    path = folder / (fix.replaces or fix.name)
    now = path.read_bytes() if path.exists() else None
    if now != fix.before:
        raise InvalidFolder(f"{path} was changed meanwhile; nothing was mended", hint="run the command again")


def _write(target: Path, content: bytes, *, like: Path) -> None:
    """In one step, beside the target first."""
    target.parent.mkdir(exist_ok=True)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        temporary.write_bytes(content)
        if like.exists():
            temporary.chmod(like.stat().st_mode & 0o7777)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _undo(written: list[tuple[Fix, Path]]) -> None:
    for fix, target in reversed(written):
        with suppress(OSError):
            if fix.before is None or fix.replaces:
                target.unlink(missing_ok=True)
            else:
                _write(target, fix.before, like=target)


def describe_fixes(fixes: tuple[Fix, ...]) -> Mapping[str, str]:
    """File -> its diff, for programs."""
    return {fix.name: fix.diff for fix in fixes}
