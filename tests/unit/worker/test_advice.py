from __future__ import annotations

import pytest

from modelyard.worker.advice import advise


def missing(name: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(f"No module named {name!r}", name=name)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (missing("cv2"), "add opencv-python-headless to requirements.txt"),
        (missing("sklearn.svm"), "add scikit-learn"),
        (missing("google.protobuf"), "add protobuf"),
        (missing("clarifai.runners.models.openai_class"), "add clarifai to requirements.txt, whose it is"),
        (missing("of_ones_own"), "the package of 'of_ones_own'"),
        (MemoryError(), "more memory"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), "more memory"),
        (AssertionError("Torch not compiled with CUDA enabled"), "map_location"),
        (RuntimeError("Found no NVIDIA driver on your system"), "there is no GPU"),
        (FileNotFoundError(2, "No such file", "/x/1/checkpoints/model.pt"), "`checkpoints` section"),
        (FileNotFoundError(2, "No such file", "/home/ann/labels.txt"), "other machines have no such path"),
        (FileNotFoundError(2, "No such file", "labels.txt"), "Path(__file__).parent"),
        (TypeError("M.__init__() missing 1 required positional argument: 'path'"), "default values"),
        (TypeError("M.predict() takes 1 positional argument but 2 were given"), "def predict(self, request)"),
        (TypeError("bad argument type for built-in operation: float has type numpy.float32"), ".item()"),
        (ImportError("cannot import name 'x' from 'y'"), "pin the version"),
    ],
)
def test_the_likely_fix_is_named(error: BaseException, words: str) -> None:
    assert words in advise(error)


@pytest.mark.parametrize("error", [ValueError("too dark"), TypeError("unsupported operand"), KeyError("x")])
def test_where_nothing_is_likely_nothing_is_said(error: BaseException) -> None:
    assert advise(error) == ""
