from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from modelyard.worker.traces import Trouble, tell

MODEL = """\
import json

def outer():
    return inner()

def inner():
    return json.loads("{")

def chained():
    try:
        inner()
    except ValueError as error:
        raise RuntimeError("second") from error

class Rude(Exception):
    def __str__(self):
        raise TypeError("no words")

def rude():
    raise Rude()

def absent():
    import absent_module.part
"""


@pytest.fixture
def author(tmp_path: Path) -> Callable[[str], Trouble]:
    (tmp_path / "1").mkdir()
    path = tmp_path / "1" / "model.py"
    path.write_text(MODEL)
    spec = importlib.util.spec_from_file_location("author", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def run(name: str) -> Trouble:
        try:
            getattr(module, name)()
        except Exception as error:
            return tell(error, tmp_path)
        raise AssertionError("nothing was raised")

    return run


def test_last_frame_of_the_author_is_named(author: Callable[[str], Trouble]) -> None:
    trouble = author("outer")
    assert (trouble.place, trouble.function) == ("1/model.py line 7", "inner")
    assert trouble.what.startswith("json.decoder.JSONDecodeError: Expecting property name")


def test_details_have_their_lines_and_no_others(author: Callable[[str], Trouble]) -> None:
    details = author("outer").details
    assert 'File "1/model.py", line 4, in outer' in details
    assert 'return json.loads("{")' in details
    assert json.__file__ not in details


def test_cause_is_told_and_trimmed_too(author: Callable[[str], Trouble]) -> None:
    details = author("chained").details
    assert "JSONDecodeError" in details
    assert "RuntimeError: second" in details
    assert json.__file__ not in details


def test_exception_whose_words_fail_is_told(author: Callable[[str], Trouble]) -> None:
    assert "Rude" in author("rude").what


def test_syntax_error_is_told_with_its_place_in_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    try:
        compile("x = (\n", str(path), "exec")
    except SyntaxError as error:
        trouble = tell(error, tmp_path)
    assert trouble.place == "model.py line 1"
    assert trouble.what.startswith("SyntaxError: ")
    assert str(tmp_path) not in trouble.details


def test_error_from_elsewhere_has_no_place(tmp_path: Path) -> None:
    assert tell(ValueError("x"), tmp_path).place == ""


def test_frames_of_the_import_machinery_are_left_out(author: Callable[[str], Trouble]) -> None:
    trouble = author("absent")
    assert trouble.what.startswith("ModuleNotFoundError: No module named 'absent_module'")
    assert "<frozen" not in trouble.details
    assert trouble.function == "absent"
