from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest

from modelyard.errors import ModelLoadFailed
from modelyard.sdk.finder import find_runner_class

Load = Callable[[str], ModuleType]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    (tmp_path / "1").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "1")

    def load_source(source: str) -> ModuleType:
        path = tmp_path / "1" / "model.py"
        path.write_text("from modelyard.sdk.runner import ModelRunner\n" + dedent(source))
        spec = importlib.util.spec_from_file_location("model_under_test", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    (tmp_path / "1" / "bases_of_test.py").write_text(
        "from modelyard.sdk.runner import ModelRunner\nclass Base(ModelRunner): ...\n"
    )
    yield load_source
    sys.modules.pop("bases_of_test", None)


def test_the_one_subclass_is_found(load: Load):
    assert find_runner_class(load("class Mine(ModelRunner): ...")).__name__ == "Mine"


def test_an_imported_base_does_not_count(load: Load):
    module = load("from bases_of_test import Base\nclass Mine(Base): ...")
    assert find_runner_class(module).__name__ == "Mine"


def test_of_a_chain_the_leaf_counts(load: Load):
    module = load("class First(ModelRunner): ...\nclass Second(First): ...\nclass Third(Second): ...")
    assert find_runner_class(module).__name__ == "Third"


def test_a_second_name_for_the_class_does_no_harm(load: Load):
    assert find_runner_class(load("class Mine(ModelRunner): ...\nModel = Mine")).__name__ == "Mine"


def test_several_leaves_are_named_with_their_lines(load: Load):
    module = load("class Base(ModelRunner): ...\nclass One(Base): ...\n\nclass Two(Base): ...")
    with pytest.raises(ModelLoadFailed, match=r"1/model\.py defines 2 subclasses .*One \(line 3\), Two \(line 5\)"):
        find_runner_class(module)


def test_none_says_what_to_write(load: Load):
    with pytest.raises(ModelLoadFailed, match=r"1/model\.py defines no subclass of ModelRunner .*class MyModel"):
        find_runner_class(load("class Model: ..."))


def test_an_imported_runner_alone_is_named_in_the_refusal(load: Load):
    with pytest.raises(ModelLoadFailed, match="imported ones do not count: Base"):
        find_runner_class(load("from bases_of_test import Base"))


def test_a_module_without_source_still_gets_names():
    from modelyard.sdk.runner import ModelRunner

    module = ModuleType("made_up")
    for name in ("One", "Two"):
        setattr(module, name, type(name, (ModelRunner,), {"__module__": "made_up"}))
    with pytest.raises(ModelLoadFailed, match="made_up defines 2 subclasses of ModelRunner: One, Two"):
        find_runner_class(module)
