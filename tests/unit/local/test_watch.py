"""What an author saves is told once, and what does not belong to the model not at all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue

import pytest

from modelyard.local.watch import watch_folder, watch_folder_async

Told = Queue[frozenset[str]]


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[tuple[Path, Callable[[], frozenset[str]]]]:
    folder = tmp_path / "model"
    (folder / "1" / "__pycache__").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / ".modelyardignore").write_text("notes/\n*.log\n")
    (folder / "notes").mkdir()
    stop, told = threading.Event(), Told()

    def listen() -> None:
        for paths in watch_folder(folder, stop):
            told.put(paths)

    thread = threading.Thread(target=listen)
    thread.start()
    while told.empty():
        (folder / "ready").write_text("x")
        stop.wait(0.05)
    while told.get(timeout=5) and not told.empty():
        pass

    def take() -> frozenset[str]:
        """The next change, without what is left over from the beginning."""
        while (paths := told.get(timeout=5) - {"ready"}) == frozenset():
            pass
        return paths

    yield folder, take
    stop.set()
    thread.join()


def test_a_save_by_writing_and_a_save_by_renaming_are_told(watch: tuple[Path, Callable[[], frozenset[str]]]) -> None:
    folder, take = watch
    (folder / "1" / "model.py").write_text("x = 1")
    assert take() == {"1/model.py"}

    (folder / "1" / "model.py~").write_text("x = 2")
    (folder / "1" / "model.py~").rename(folder / "1" / "model.py")
    assert take() == {"1/model.py"}

    (folder / "1" / "model.py").unlink()
    assert take() == {"1/model.py"}


def test_a_burst_is_told_at_once_and_ignored_files_not_at_all(
    watch: tuple[Path, Callable[[], frozenset[str]]],
) -> None:
    folder, take = watch
    for name in (".git/index", "1/__pycache__/model.pyc", "notes/a.md", "a.log", ".env", "1/.model.py.swp"):
        (folder / name).write_text("x")
    for name in ("config.yaml", "requirements.txt", "1/helper.py"):
        (folder / name).write_text("x")

    assert take() == {"config.yaml", "requirements.txt", "1/helper.py"}


def test_a_changed_ignore_file_counts_from_then_on(watch: tuple[Path, Callable[[], frozenset[str]]]) -> None:
    folder, take = watch
    (folder / ".modelyardignore").write_text("*.md\n")
    (folder / "1" / "one.py").write_text("x")
    assert take() == {"1/one.py"}

    (folder / "a.md").write_text("x")
    (folder / "a.log").write_text("x")
    assert take() == {"a.log"}


async def test_the_async_kind_ends_with_its_task(tmp_path: Path) -> None:
    changes = watch_folder_async(tmp_path)
    is_told = asyncio.Event()

    async def keep_writing() -> None:
        while not is_told.is_set():
            (tmp_path / "a.py").write_text("x")
            await asyncio.sleep(0.05)

    writing = asyncio.create_task(keep_writing())
    assert await anext(changes) == {"a.py"}
    is_told.set()
    await writing
    await changes.aclose()  # type: ignore[attr-defined]
