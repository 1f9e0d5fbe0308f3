"""Whether what is loaded may stay, decided from sources alone."""

from __future__ import annotations

import pytest

from modelyard.worker.edits.changes import Changes, find_changes
from modelyard.worker.edits.units import ModuleUnits, read_units

MODEL = '''
import os
import torch
from helper import build, clean, SIZE
from modelyard.sdk.runner import ModelRunner

LIMIT = 10
FLOOR = 1
HANDLERS = {"clean": clean}


class Answer:
    """What one request came to."""

    mark = "!"

    def show(self):
        return f"{self.mark}"


class Model(ModelRunner):
    threshold = 0.5
    rate: float = 16000

    def load_model(self):
        self.net = build(SIZE, FLOOR)
        self.net.eval()
        self.rate_hz = self.rate

    @torch.inference_mode()
    def predict(self, request):
        return self.answer(clean(request))[:LIMIT]

    def answer(self, text):
        return [text, self.threshold]


if __name__ == "__main__":
    Model().predict("by hand")
'''
HELPER = """
SIZE = 3
STEPS = 4


def build(size, floor):
    return [make_layer(size)] * floor


def make_layer(size):
    return Layer(size)


def clean(text):
    return text.strip(" " * STEPS)


class Layer:
    def __init__(self, size):
        self.size = size

    def describe(self):
        return f"layer {self.size}"
"""


def read(model: str, **others: str) -> dict[str, ModuleUnits]:
    found = {"model": read_units("model", model.encode(), "1/model.py")}
    for name, text in others.items():
        found[name] = read_units(name, text.encode(), f"1/{name}.py")
    return found


def compare(model: str = MODEL, helper: str = HELPER) -> Changes:
    old, new = read(MODEL, helper=HELPER), read(model, helper=helper)
    return find_changes(old, new, [("model", "Model")])


def edit(text: str, before: str, after: str) -> str:
    assert before in text
    return text.replace(before, after)


KEPT = {
    "nothing": ("", ""),
    "comment": ("LIMIT = 10", "LIMIT = 10  # answers"),
    "docstring": ("What one request came to.", "The answer."),
    "predict's body": ("[:LIMIT]", "[:LIMIT - 1]"),
    "a method that predict calls": ("[text, self.threshold]", "[self.threshold, text]"),
    "a constant that predict uses": ("LIMIT = 10", "LIMIT = 20"),
    "a value of the class that predict uses": ("threshold = 0.5", "threshold = 0.6"),
    "a class that predict uses": ('f"{self.mark}"', 'f"{self.mark}?"'),
    "a value of a class that predict uses": ('mark = "!"', 'mark = "?"'),
    "an import more": ("import os\n", "import os\nimport re\n"),
    "an import less": ("import os\n", ""),
    "what only a script runs": ('predict("by hand")', 'predict("by me")'),
    "a function more": ("HANDLERS", "def shout(text):\n    return text.upper()\n\n\nHANDLERS"),
    "a method more": ("    def answer", "    def shorten(self):\n        return 1\n\n    def answer"),
    "a class more": ("class Answer", "class Other:\n    pass\n\n\nclass Answer"),
    "generate instead of predict": ("def predict", "def generate"),
    "annotations": ("def answer(self, text):", "def answer(self, text: str) -> list:"),
    "a class by another name": ("class Answer:", "class Reply:"),
}


@pytest.mark.parametrize("what", KEPT)
def test_what_is_loaded_stays_where_loading_does_not_reach(what: str) -> None:
    assert compare(edit(MODEL, *KEPT[what])).reason == ""


LOADED_AGAIN = {
    "load_model": ("self.net.eval()", "self.net.train()", "Model.load_model"),
    "a constant that load_model uses": ("FLOOR = 1", "FLOOR = 2", "FLOOR"),
    "a value of the class that load_model uses": ("16000", "8000", "Model.rate"),
    "the class by another name": ("class Model(", "class Runner(", "Model"),
    "its bases": ("class Model(ModelRunner)", "class Model(Answer, ModelRunner)", "Model"),
    "a constructor": (
        "    def load_model",
        "    def __init__(self):\n        self.x = 1\n\n    def load_model",
        "Model, whose special methods",
    ),
    "a decorator": ("@torch.inference_mode()", "@torch.no_grad()", "decorators"),
    "a decorator less": ("    @torch.inference_mode()\n", "", "decorators"),
    "a statement": ("HANDLERS = {", "print('hello')\nHANDLERS = {", "line 9"),
    "a computed value": ('{"clean": clean}', '{"clean": clean, "x": None}', "line 9"),
    "the order of definitions": ("LIMIT = 10\nFLOOR = 1", "FLOOR = 1\nLIMIT = 10", "places"),
    "an import that load_model uses": ("import build,", "import clean as build,", "build"),
    "a name that hides what load_model uses": ("LIMIT = 10", "LIMIT = 10\n\ndef eval(): pass", "eval"),
    "computed defaults": ("def answer(self, text)", "def answer(self, text=LIMIT)", "defaults"),
}


@pytest.mark.parametrize("what", LOADED_AGAIN)
def test_loading_is_done_again_where_it_may_come_out_otherwise(what: str) -> None:
    before, after, told = LOADED_AGAIN[what]

    assert told in compare(edit(MODEL, before, after)).reason


HELPERS = {
    "a function that load_model uses": ("return [make_layer(size)] * floor", "return []", "build"),
    "what that function uses": ("return Layer(size)", "return Layer(size + 1)", "make_layer"),
    "the constructor of what it makes": ("self.size = size", "self.size = -size", "Layer.__init__"),
    "a constant given to it": ("SIZE = 3", "SIZE = 4", "SIZE"),
    "a function that predict uses": ("text.strip(", "text.lstrip(", ""),
    "a constant that predict uses": ("STEPS = 4", "STEPS = 5", ""),
    "a method that loading does not call": ('f"layer {self.size}"', 'f"{self.size}"', ""),
    "a function gone that is imported": ('def clean(text):\n    return text.strip(" " * STEPS)\n', "", "clean"),
}


@pytest.mark.parametrize("what", HELPERS)
def test_other_modules_of_the_folder_follow_the_same_rule(what: str) -> None:
    before, after, told = HELPERS[what]
    reason = compare(helper=edit(HELPER, before, after)).reason

    assert told in reason
    assert bool(reason) == bool(told)


def test_a_module_that_is_gone_asks_for_a_new_start() -> None:
    changes = find_changes(read(MODEL, helper=HELPER), read(MODEL), [("model", "Model")])

    assert changes.reason == "1/helper.py is gone"


def test_a_class_that_a_library_may_call_brings_all_of_its_methods() -> None:
    model = "import torch\nclass Net(torch.nn.Module):\n    def forward(self, x):\n        return x\n"
    model += "class Model:\n    def load_model(self):\n        self.net = Net()\n"
    old, new = read(model), read(edit(model, "return x\n", "return -x\n"))

    assert "Net.forward" in find_changes(old, new, [("model", "Model")]).reason


def test_a_runner_that_inherits_from_another_file_is_followed_there() -> None:
    base = "from modelyard.sdk.runner import ModelRunner\nclass Base(ModelRunner):\n"
    base += "    def load_model(self):\n        self.x = 1\n    def predict(self, request):\n        return 1\n"
    model = "from base import Base\nclass Model(Base):\n    pass\n"
    runners = [("model", "Model"), ("base", "Base")]
    old = read(model, base=base)

    assert "load_model" in find_changes(old, read(model, base=edit(base, "x = 1", "x = 2")), runners).reason
    assert find_changes(old, read(model, base=edit(base, "return 1", "return 2")), runners).reason == ""


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("getattr(self, name)()", "getattr in 1/model.py line 4"),
        ("exec('self.x = 1')", "exec in 1/model.py line 4"),
        ("self.__dict__.update(x=1)", "__dict__ in 1/model.py line 4"),
        ("getattr(torch, name)", ""),
        ("getattr(torch.nn, name)()", ""),
        ("getattr(self, 'x', None)", ""),
        ("self.net.eval()", ""),
    ],
)
def test_code_that_uses_what_it_does_not_name_is_not_guessed_about(code: str, told: str) -> None:
    model = f"import torch\nclass Model:\n    def load_model(self):\n        {code}\n"
    model += "    def predict(self):\n        return 1\n"
    changes = find_changes(read(model), read(edit(model, "return 1", "return 2")), [("model", "Model")])

    assert told in changes.reason
    assert bool(changes.reason) == bool(told)


def test_functions_named_by_text_are_reached() -> None:
    model = "class Model:\n    def load_model(self):\n        getattr(self, 'warm')()\n"
    model += "    def warm(self):\n        self.x = 1\n"
    changes = find_changes(read(model), read(edit(model, "x = 1", "x = 2")), [("model", "Model")])

    assert "Model.warm" in changes.reason


def test_what_a_table_of_functions_names_is_reached_only_where_loading_uses_the_table() -> None:
    model = "def a():\n    return 1\nTABLE = {'a': a}\nclass Model:\n    def load_model(self):\n        self.x = 0\n"
    using = edit(model, "self.x = 0", "self.x = TABLE['a']()")

    assert find_changes(read(model), read(edit(model, "return 1", "return 2")), [("model", "Model")]).reason == ""
    assert " a," in find_changes(read(using), read(edit(using, "return 1", "return 2")), [("model", "Model")]).reason


def test_a_function_that_ran_at_import_is_reached() -> None:
    model = "def read():\n    return 1\nLABELS = list(map(read, []))\nclass Model:\n    pass\n"
    changes = find_changes(read(model), read(edit(model, "return 1", "return 2")), [("model", "Model")])

    assert "read" in changes.reason


def test_a_name_that_is_bound_twice_is_not_taken_apart() -> None:
    model = (
        "try:\n    import fast\nexcept ImportError:\n    fast = None\ndef f():\n    return 1\ndef f():\n    return 2\n"
    )
    changes = find_changes(read(model), read(edit(model, "return 1", "return 3")), [])

    assert "line 5" in changes.reason


def test_decorated_functions_that_use_what_changed_are_named() -> None:
    model = (
        "from functools import lru_cache\n@lru_cache\ndef count(x):\n    return size(x)\ndef size(x):\n    return 1\n"
    )
    changes = find_changes(read(model), read(edit(model, "return 1", "return 2")), [])

    assert changes.reason == ""
    assert changes.names == ("size",)
    assert changes.memories == (("model", "count"),)
