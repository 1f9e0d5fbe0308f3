"""What a class of 1/model.py lacks is told without running it, and nothing is told that is not certain."""

from __future__ import annotations

import textwrap

import pytest

from modelyard.parts.source import check_model_source, list_imports, read_source

WHOLE = """
from clarifai.runners.models.model_runner import ModelRunner
class M(ModelRunner):
    def load_model(self): ...
    def predict(self, request): return 1
"""
TYPED = """from clarifai.runners.models.model_class import ModelClass
class M(ModelClass):
    @ModelClass.method
    def say(self, text: str) -> str: ...
"""


def check(source: str) -> list[tuple[int, str]]:
    tree = read_source(textwrap.dedent(source))
    assert tree is not None
    return list(check_model_source(tree))


@pytest.mark.parametrize(
    "source",
    [
        WHOLE,
        "from x import model_runner\nclass M(model_runner.ModelRunner):\n    load_model = predict = f\n",
        "from base import Base\nclass M(Base):\n    def anything(self): ...\n",
        WHOLE.replace("class M(ModelRunner)", "class Base(ModelRunner)") + "class M(Base):\n    extra = 1\n",
        WHOLE.replace("return 1", "raise NotImplementedError"),
        WHOLE + "    def generate(self, request): return self.model.stream(request)\n",
        WHOLE + "    def generate(self, request):\n        raise NotImplementedError\n",
        WHOLE + "    def stream(self, *requests):\n        yield from requests\n",
        WHOLE + "    @staticmethod\n    def generate(request):\n        yield 1\n",
        TYPED,
        "class M(ModelRunner, Mixin):\n    x = 1\n",
    ],
)
def test_nothing_is_said_of_what_may_be_right(source: str) -> None:
    assert check(source) == []


@pytest.mark.parametrize(
    ("source", "line", "told"),
    [
        (TYPED.replace("text: str", "text"), 4, "say: argument text has no type; write it: `text: str`"),
        (TYPED.replace(" -> str", ""), 4, "say does not say what it returns"),
        (TYPED.replace("text: str", "*texts: str"), 4, "say: *texts stands for any arguments"),
        ("x = 1\n", 1, "no class of the file inherits from ModelRunner"),
        ("class A: ...\n", 1, "no class of the file inherits from ModelRunner"),
        (WHOLE.replace("load_model", "load"), 3, "M has no load_model"),
        (WHOLE.replace("predict", "predic"), 3, "is predic meant to be predict?"),
        (WHOLE.replace("self, request", "self"), 5, "predict takes no request"),
        (WHOLE.replace("return 1", "yield 1"), 5, "predict yields"),
        (WHOLE + "    def generate(self, request):\n        return 1\n", 6, "generate never yields"),
        (WHOLE + "    def stream(self, it):\n        def inner(): yield 1\n", 6, "stream never yields"),
        (
            WHOLE + "class N(ModelRunner):\n    def load_model(self): ...\n",
            6,
            "there are 2 classes of models: M (line 3)",
        ),
    ],
)
def test_what_is_missing_is_told_with_its_line(source: str, line: int, told: str) -> None:
    found = check(source)
    assert [number for number, _ in found] == [line]
    assert told in found[0][1]


@pytest.mark.parametrize("source", ["def (", "x = '\0'", "(" * 5000])
def test_what_cannot_be_parsed_is_left_to_others(source: str) -> None:
    assert read_source(source) is None


def test_imports_that_may_fail_without_harm_are_left_out() -> None:
    tree = read_source(
        textwrap.dedent("""
        import a, b.c
        from d.e import f
        from . import g
        from .h import i
        try:
            import fast
        except ImportError:
            import slow
        if TYPE_CHECKING:
            import types_only
        def late():
            import k
        """)
    )
    assert tree is not None
    assert [name for _, name in list_imports(tree)] == ["a", "b.c", "d.e", ".", ".h", "k"]
