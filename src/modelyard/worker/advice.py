"""What an author can do about an error of their code: the likely fix, where the error leaves little doubt."""

from __future__ import annotations

import re

_PACKAGES = {
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "faiss": "faiss-cpu",
    "fitz": "PyMuPDF",
    "git": "GitPython",
    "google.protobuf": "protobuf",
    "jwt": "PyJWT",
    "PIL": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "whisper": "openai-whisper",
    "yaml": "PyYAML",
    "zmq": "pyzmq",
}
"""Imports that are named otherwise than what is installed for them."""
_NO_GPU = (
    "no nvidia driver",
    "torch not compiled with cuda",
    "cuda is not available",
    "no cuda gpus",
    "cuda.is_available",
)
_NO_MEMORY = ("out of memory", "cannot allocate memory", "unable to allocate", "can't allocate memory")


def advise(error: BaseException) -> str:
    """The likely fix; "" where nothing is likely."""
    text = str(error).lower()
    if isinstance(error, ModuleNotFoundError) and error.name:
        return _advise_import(error.name)
    if isinstance(error, MemoryError) or any(one in text for one in _NO_MEMORY):
        return "it needs more memory than there is: load a smaller or quantised model, or send fewer inputs at once"
    if any(one in text for one in _NO_GPU):
        return 'there is no GPU here: choose the device by torch.cuda.is_available(), and load with map_location="cpu"'
    if isinstance(error, FileNotFoundError):
        return _advise_file(str(error.filename or error))
    if isinstance(error, TypeError):
        return _advise_type(str(error))
    if isinstance(error, ImportError) and "cannot import name" in text:
        return "the installed version has no such name: pin the version that you wrote it with in requirements.txt"
    return ""


def _advise_import(module: str) -> str:
    top = module.partition(".")[0]
    if module.startswith("clarifai."):
        return f"Modelyard has no {module} of its own: add clarifai to requirements.txt, whose it is"
    package = _PACKAGES.get(module) or _PACKAGES.get(top)
    if package:
        return f"add {package} to requirements.txt: it has the module {top!r}"
    return f"add the package of {top!r} to requirements.txt"


def _advise_file(name: str) -> str:
    if "checkpoints" in name:
        return "put the file into 1/checkpoints, or name its repository in a `checkpoints` section of config.yaml"
    if re.match(r"^(/home/|/root/|/Users/|[A-Za-z]:\\)", name):
        return "other machines have no such path: name files from Path(__file__).parent"
    return "name files from Path(__file__).parent, and see that .modelyardignore does not leave them out"


def _advise_type(text: str) -> str:
    if "__init__()" in text and "argument" in text:
        return "the class is made without arguments: give those of __init__ default values"
    if re.search(r"\b(predict|generate|stream)\(\) takes 1 positional argument but 2 were given", text):
        return "the methods take the request: def predict(self, request)"
    if "not serializable" in text or "MergeFrom" in text or "has type" in text:
        return "messages take Python's own numbers and texts: convert with float(), int(), str() or .item()"
    return ""
