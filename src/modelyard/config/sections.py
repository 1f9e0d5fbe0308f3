"""The sections of config.yaml, one function each: what they may say, and what is said back when they say otherwise."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable

from modelyard.config.identifiers import ID_RULE, is_valid_id
from modelyard.config.model_types import MODEL_TYPES
from modelyard.config.quantities import parse_cpu_millis, parse_memory_bytes
from modelyard.config.schema import CheckpointsInfo, ComputeInfo, ConceptInfo, ModelInfo
from modelyard.config.section import Check, Section
from modelyard.errors import InvalidConfig

PYTHON_VERSIONS = ("3.10", "3.11", "3.12", "3.13")
MAX_THREADS = 1024
_MAX_ACCELERATORS = 1024
_ACCELERATOR = re.compile(r"[A-Za-z0-9*][A-Za-z0-9._*-]{0,63}")
_CONCEPT_ADVICE = "write `- id: '0'` with `name: ...` below it"

MODEL_KEYS = ("id", "user_id", "app_id", "model_type_id")
COMPUTE_KEYS = ("cpu_limit", "cpu_memory", "num_accelerators", "accelerator_type", "accelerator_memory")
CONCEPT_KEYS = ("id", "name")
CHECKPOINT_KEYS = ("type", "repo_id", "revision", "hf_token", "when", "allowed_file_patterns", "ignore_file_patterns")
BUILD_KEYS = ("python_version",)
TOP_KEYS = ("model", "inference_compute_info", "concepts", "checkpoints", "build_info", "num_threads")

# Published keys without effect in this release, and what to do instead.
IDLE_TOP = {
    "compute": "write inference_compute_info with cpu_limit and cpu_memory instead",
    "secrets": "secrets are not handed to models yet",
    "mcp_server": "MCP servers are not started yet",
    "toolkits": "write what they stand for in requirements.txt and 1/model.py",
    "streaming_video_consumer": "send video as inputs of `stream`",
}
IDLE_BUILD = {
    "image": "the environment is made from requirements.txt",
    "platform": "the environment is made for this machine",
    "node_version": "only Python environments are made",
    "dereference_symlinks": "links are never followed out of the folder",
}
IDLE_COMPUTE = {
    "cpu_requests": "cpu_limit is what counts",
    "cpu_memory_requests": "cpu_memory is what counts",
    "accelerator_topology": "num_accelerators is what counts",
}
IDLE_CONCEPT = dict.fromkeys(
    ("value", "language", "definition", "app_id", "user_id"), "a concept here is its id and name"
)
# A key that stands in the wrong section is told where it belongs.
HOMES = {
    **dict.fromkeys((*COMPUTE_KEYS, *IDLE_COMPUTE), "inference_compute_info"),
    **dict.fromkeys((*BUILD_KEYS, *IDLE_BUILD), "build_info"),
    **dict.fromkeys(CHECKPOINT_KEYS[1:], "checkpoints"),
    **dict.fromkeys(MODEL_KEYS[1:], "model"),
    "num_threads": "the top level",
}


def read_model(top: Section) -> ModelInfo:
    """Section `model`, required with its `id` and `model_type_id`."""
    section = top.section("model")
    if section is None:
        if not top.has("model"):
            top.add("model", "is missing; write `model:` with `id` and `model_type_id` below it")
        return ModelInfo(id="", model_type_id="")
    section.warn_unread(MODEL_KEYS, {}, HOMES)
    return ModelInfo(
        id=section.required_text("id", _check_id, advice=f"give the model an id: {ID_RULE}"),
        user_id=section.text("user_id", _check_id),
        app_id=section.text("app_id", _check_id),
        model_type_id=_read_model_type(section),
    )


def read_compute(top: Section) -> ComputeInfo:
    """Section `inference_compute_info`; without it the server's defaults hold, and the author is told."""
    section = top.section("inference_compute_info")
    if section is None:
        if not top.has("inference_compute_info") and not top.has("compute"):
            top.warn("inference_compute_info", "is missing; write cpu_limit and cpu_memory, other servers require them")
        return ComputeInfo()
    section.warn_unread(COMPUTE_KEYS, IDLE_COMPUTE, HOMES)
    section.text("cpu_requests", _complain(parse_cpu_millis))
    section.text("cpu_memory_requests", _complain(parse_memory_bytes))
    return ComputeInfo(
        cpu_limit=section.text("cpu_limit", _complain(parse_cpu_millis, low=1)),
        cpu_memory=section.text("cpu_memory", _complain(parse_memory_bytes, low=1)),
        num_accelerators=section.whole_number("num_accelerators", low=0, high=_MAX_ACCELERATORS),
        accelerator_type=section.texts("accelerator_type", _check_accelerator),
        accelerator_memory=section.text("accelerator_memory", _complain(parse_memory_bytes)),
    )


def read_concepts(top: Section) -> tuple[ConceptInfo, ...]:
    """Section `concepts`: ids and names are text, however they look, and each id stands once."""
    concepts: dict[str, ConceptInfo] = {}
    for section in top.sections("concepts", _CONCEPT_ADVICE):
        section.warn_unread(CONCEPT_KEYS, IDLE_CONCEPT, {})
        concept = ConceptInfo(
            id=section.label("id", advice=_CONCEPT_ADVICE), name=section.label("name", advice=_CONCEPT_ADVICE)
        )
        if concept.id and concept.id in concepts:
            section.add("id", f"{concept.id!r} is given twice; concept ids have to differ")
        concepts[concept.id] = concept
    return tuple(concepts.values())


def read_checkpoints(top: Section) -> CheckpointsInfo | None:
    """Section `checkpoints`: which repository of a model hub has the weights."""
    section = top.section("checkpoints")
    if section is None:
        return None
    section.warn_unread(CHECKPOINT_KEYS, {}, HOMES)
    return CheckpointsInfo(
        type=section.required_text("type", _one_of("huggingface"), advice="use huggingface"),
        repo_id=section.required_text("repo_id", _check_repo, advice="name the repository, such as owner/name"),
        revision=section.text("revision", _check_revision),
        hf_token=section.text("hf_token"),
        when=section.text("when", _one_of("upload", "build", "runtime")),
        allowed_file_patterns=section.texts("allowed_file_patterns"),
        ignore_file_patterns=section.texts("ignore_file_patterns"),
    )


def read_python_version(top: Section) -> str:
    """`build_info.python_version`, or "" where the server is to choose."""
    section = top.section("build_info")
    if section is None:
        return ""
    section.warn_unread(BUILD_KEYS, IDLE_BUILD, HOMES)
    return section.text("python_version", _check_python)


def read_num_threads(top: Section) -> int:
    """`num_threads`: how many requests the class handles at once, or 0 where the server is to choose."""
    return top.whole_number("num_threads", low=1, high=MAX_THREADS)


def check_concepts(top: Section, model: ModelInfo) -> None:
    """The guide's rule: concepts are required where the model answers them, unless they come from Hugging Face."""
    known = MODEL_TYPES.get(model.model_type_id)
    if known is None or not known.needs_concepts or top.has("concepts") or top.has("checkpoints"):
        return
    top.add(
        "concepts",
        f"is missing; it is required because {model.model_type_id} outputs concepts and the model is not loaded from "
        f"Hugging Face: {_CONCEPT_ADVICE}, or write a checkpoints section",
    )


def _read_model_type(section: Section) -> str:
    advice = "name what the model does, such as image-classifier or text-to-text"
    type_id = section.required_text("model_type_id", _check_id, advice=advice)
    if type_id and type_id not in MODEL_TYPES:
        close = difflib.get_close_matches(type_id, MODEL_TYPES, n=1)
        meant = f"; did you mean {close[0]!r}?" if close else "; its inputs and outputs will not be checked"
        section.warn("model_type_id", f"{type_id!r} is not a public model type{meant}")
    return type_id


def _check_id(text: str) -> str:
    return "" if is_valid_id(text) else f"is not a valid id; use {ID_RULE}"


def _check_accelerator(text: str) -> str:
    is_valid = _ACCELERATOR.fullmatch(text) is not None
    return "" if is_valid else "is not an accelerator type; use a name or pattern such as NVIDIA-A10G or NVIDIA-*"


def _check_repo(text: str) -> str:
    is_valid = re.fullmatch(r"(?!.*\.\.)[\w.-]{1,96}(/[\w.-]{1,96})?", text, re.ASCII) is not None
    return "" if is_valid else "is not a repository; use owner/name"


def _check_revision(text: str) -> str:
    is_valid = re.fullmatch(r"(?!.*\.\.)[\w./-]{1,128}", text, re.ASCII) is not None
    return "" if is_valid else "is not a revision; use a branch, a tag or a commit hash"


def _check_python(text: str) -> str:
    return "" if text in PYTHON_VERSIONS else f"is not supported; use one of {PYTHON_VERSIONS[0]}-{PYTHON_VERSIONS[-1]}"


def _one_of(*allowed: str) -> Check:
    return lambda text: "" if text in allowed else f"is not supported; use {' or '.join(allowed)}"


def _complain(parse: Callable[[str], int], *, low: int = 0) -> Check:
    """Make a check of a quantity; the parser's own message starts with the value, which the section adds."""

    def check(text: str) -> str:
        try:
            return "" if parse(text) >= low else "is not above 0"
        except InvalidConfig as error:
            return error.message[error.message.index(" is not ") + 1 :]

    return check
