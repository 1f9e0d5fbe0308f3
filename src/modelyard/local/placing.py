"""Put files into a folder: all of them, or none."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


def place_files(target: Path, files: Mapping[str, bytes]) -> None:
    """Write files below a folder, which is made where it is missing, over files with the same names.

    Raises OSError; then the folder is as it was before.
    """
    missing = [place for place in (target, *target.parents) if not place.exists()]
    with _undo_folders(missing[1:]):
        target.parent.mkdir(parents=True, exist_ok=True)
        with _make_stage(target, files) as stage:
            if missing:
                stage.rename(target)
            else:
                _move_in(stage, target, files)


@contextmanager
def _undo_folders(made: list[Path]) -> Iterator[None]:
    """Folders above that were made for this go again, if it fails."""
    try:
        yield
    except BaseException:
        for place in made:
            if place.is_dir():
                place.rmdir()
        raise


@contextmanager
def _make_stage(target: Path, files: Mapping[str, bytes]) -> Iterator[Path]:
    """All files in a folder on the target's disk, from which they only have to be renamed."""
    stage = (target if target.exists() else target.parent) / f".modelyard-init-{secrets.token_hex(4)}"
    try:
        stage.mkdir()
        for name, content in files.items():
            place = stage / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _move_in(stage: Path, target: Path, files: Mapping[str, bytes]) -> None:
    """Move every file to its place; where one cannot be moved, put back what was there before."""
    saved = stage / ".replaced"
    undo: list[tuple[Path, Path | None]] = []
    made: list[Path] = []
    try:
        for number, name in enumerate(files):
            place = target / name
            if not place.parent.is_dir():
                place.parent.mkdir(parents=True)
                made.append(place.parent)
            kept = saved / str(number) if os.path.lexists(place) else None
            if kept:
                kept.parent.mkdir(exist_ok=True)
                place.rename(kept)
            undo.append((place, kept))
            (stage / name).rename(place)
    except BaseException:
        for place, kept in reversed(undo):
            place.unlink(missing_ok=True)
            if kept:
                kept.rename(place)
        for folder in reversed(made):
            folder.rmdir()
        raise
