"""What the model's code imports, beside what its environment will have: the slip that costs a whole upload."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.utils import canonicalize_name

from modelyard.parts.requirements import Requirements
from modelyard.parts.source import list_imports, read_source

MAX_FILES = 200
MAX_BYTES = 1024 * 1024
_PLACES = ("1", "")
"""What a worker puts on the path, relative to the folder."""
_PROVIDED = frozenset({"clarifai", "clarifai_grpc", "google", "grpc", "modelyard", "yaml"})
"""What an environment has without being asked."""
_PROJECTS = {
    "attr": ("attrs",),
    "bs4": ("beautifulsoup4",),
    "cv2": (
        "opencv-python-headless", "opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless",
    ),
    "dateutil": ("python-dateutil",),
    "docx": ("python-docx",),
    "dotenv": ("python-dotenv",),
    "faiss": ("faiss-cpu", "faiss-gpu"),
    "fitz": ("PyMuPDF",),
    "git": ("GitPython",),
    "googleapiclient": ("google-api-python-client",),
    "jwt": ("PyJWT",),
    "OpenSSL": ("pyOpenSSL",),
    "PIL": ("pillow", "pillow-simd"),
    "pkg_resources": ("setuptools",),
    "pptx": ("python-pptx",),
    "serial": ("pyserial",),
    "skimage": ("scikit-image",),
    "sklearn": ("scikit-learn",),
    "usb": ("pyusb",),
    "whisper": ("openai-whisper",),
    "zmq": ("pyzmq",),
}  # fmt: skip
"""Imports that are named otherwise than what is installed for them; the first is the one to suggest."""
_HUB = ("huggingface_hub", "numpy", "packaging", "requests", "tqdm")
_BROUGHT = {
    "accelerate": ("torch", "numpy", "huggingface_hub", "safetensors", "psutil"),
    "clarifai": (*_HUB, "PIL", "rich", "click", "aiohttp", "fsspec", "openai", "psutil"),
    "datasets": (*_HUB, "pandas", "pyarrow", "fsspec"),
    "diffusers": (*_HUB, "PIL", "safetensors", "regex"),
    "fastapi": ("pydantic", "starlette"),
    "fastmcp": ("mcp", "rich"),
    "httpx": ("httpcore", "anyio", "certifi", "idna"),
    "keras": ("numpy",),
    "librosa": ("numpy", "scipy", "soundfile", "sklearn", "joblib"),
    "matplotlib": ("numpy", "PIL", "dateutil"),
    "mcp": ("anyio", "httpx", "pydantic", "starlette", "uvicorn"),
    "onnxruntime": ("numpy",),
    "opencv-contrib-python": ("numpy",),
    "opencv-contrib-python-headless": ("numpy",),
    "opencv-python": ("numpy",),
    "opencv-python-headless": ("numpy",),
    "openai": ("httpx", "pydantic", "tqdm"),
    "pandas": ("numpy", "dateutil", "pytz"),
    "peft": ("torch", "transformers", "accelerate", "numpy", "safetensors", "huggingface_hub"),
    "pydantic": ("pydantic_core", "typing_extensions"),
    "requests": ("urllib3", "certifi", "idna", "charset_normalizer"),
    "scikit-image": ("numpy", "scipy", "PIL"),
    "scikit-learn": ("numpy", "scipy", "joblib", "threadpoolctl"),
    "scipy": ("numpy",),
    "sentence-transformers": (*_HUB, "torch", "transformers", "sklearn", "scipy", "PIL"),
    "soundfile": ("numpy",),
    "tensorflow": ("numpy", "keras", "h5py"),
    "timm": ("torch", "torchvision", "huggingface_hub", "safetensors", "numpy", "PIL"),
    "torch": ("jinja2", "sympy", "networkx", "fsspec"),
    "torchaudio": ("torch",),
    "torchvision": ("torch", "numpy", "PIL"),
    "transformers": (*_HUB, "tokenizers", "safetensors", "regex"),
    "ultralytics": ("torch", "torchvision", "cv2", "numpy", "PIL", "matplotlib", "requests", "scipy", "pandas"),
    "vllm": (*_HUB, "torch", "torchvision", "transformers", "openai", "PIL", "fastapi", "pydantic", "tokenizers"),
}
"""What comes with a requirement: an author who leaves it to that has made no slip. That brings more in its turn."""


def check_imports(folder: Path, requirements: Requirements) -> Iterator[str]:
    """A line for each module that 1/model.py, or a file of the folder that it imports, needs and nothing brings."""
    if any(not line.name for line in requirements.lines):
        return  # an archive by its address alone may bring anything
    names = {str(canonicalize_name(line.name)) for line in requirements.lines}
    known = {*sys.stdlib_module_names, *_PROVIDED, *_list_brought(names)}
    for path, line, module in _follow_imports(folder):
        if module not in known and not _is_required(module, names):
            wanted = _PROJECTS.get(module, (module.replace("_", "-"),))[0]
            yield f"{path} line {line}: {module} is imported, and nothing in requirements.txt brings it; add {wanted}"
        known.add(module)


def _list_brought(names: set[str]) -> set[str]:
    """The modules that come with these requirements, and with what comes with those."""
    brought: set[str] = set()
    waiting = list(names)
    while waiting:
        for module in _BROUGHT.get(waiting.pop(), ()):
            if module not in brought:
                brought.add(module)
                waiting += map(canonicalize_name, _PROJECTS.get(module, (module,)))
    return brought


def _is_required(module: str, names: set[str]) -> bool:
    """By its name, by a longer one (`onnxruntime-gpu`, `google-cloud-storage`), or by one of its other names."""
    plain = str(canonicalize_name(module))
    if any(str(canonicalize_name(one)) in names for one in _PROJECTS.get(module, ())):
        return True
    return any(
        name == plain or name.startswith(f"{plain}-") or name in (f"python-{plain}", f"py{plain}") for name in names
    )


def _follow_imports(folder: Path) -> Iterator[tuple[str, int, str]]:
    """Every import of a module that is not the folder's: file, line, and the first part of its name."""
    waiting, seen = [folder / "1" / "model.py"], set[Path]()
    while waiting and len(seen) < MAX_FILES:
        path = waiting.pop(0)
        if path in seen:
            continue
        seen.add(path)
        for line, module in _read_imports(path):
            own = _find_own(folder, path, module)
            waiting += own
            if not own and not module.startswith("."):
                yield path.relative_to(folder).as_posix(), line, module.partition(".")[0]


def _read_imports(path: Path) -> list[tuple[int, str]]:
    try:
        if path.stat().st_size > MAX_BYTES:
            return []
        tree = read_source(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError):
        return []
    return list_imports(tree) if tree else []


def _find_own(folder: Path, importer: Path, module: str) -> list[Path]:
    """The files that are run for an import, where it is the folder's: of a package, all of its files."""
    top = module.lstrip(".").partition(".")[0]
    places = [importer.parent] if module.startswith(".") else [folder / place for place in _PLACES]
    for place in places:
        if (place / f"{top}.py").is_file():
            return [place / f"{top}.py"]
        if top and (place / top).is_dir() and top != "1":
            return sorted((place / top).rglob("*.py"))[:MAX_FILES]
    return []
