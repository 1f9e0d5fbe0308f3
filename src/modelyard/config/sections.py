"""The sections of config.yaml, one function each: how they become a `FolderConfig`, and what is said back on the way.

What keys there are and what they may say is declared in `keys.py`; here is what a declaration cannot say.
"""

from __future__ import annotations

import difflib

from modelyard.config.instances import Instance, find_instance, suggest_instances
from modelyard.config.model_types import MODEL_TYPES, mend_model_type
from modelyard.config.placeholders import is_token_placeholder
from modelyard.config.problems import show
from modelyard.config.pythons import read_minor
from modelyard.config.schema import (
    NO_BATCHING,
    BatchingInfo,
    CheckpointsInfo,
    ComputeInfo,
    ConceptInfo,
    ModelInfo,
    SecretInfo,
)
from modelyard.config.section import Section

DEFAULT_MODEL_TYPE = "any-to-any"
"""What published clients take where none is given."""


def read_model(top: Section) -> ModelInfo:
    """Section `model`, required with its `id`."""
    section = top.section("model")
    if section is None:
        return ModelInfo(id="", model_type_id="")
    return ModelInfo(
        id=section.text("id"),
        user_id=section.text("user_id"),
        app_id=section.text("app_id"),
        model_type_id=_read_model_type(section),
    )


def read_compute(top: Section) -> ComputeInfo:
    """Section `inference_compute_info`, else `compute`; without them the server's defaults hold, and that is told."""
    is_written_out = top.has("inference_compute_info")
    named = _read_instance(top, is_counting=not is_written_out)
    section = top.section("inference_compute_info")
    if section is None:
        if not is_written_out and not top.has("compute"):
            top.warn("inference_compute_info", "is missing; write cpu_limit and cpu_memory, other servers require them")
        return named
    if top.has("compute"):
        top.note("compute", "is not read, because inference_compute_info is given, too, and counts")
    return ComputeInfo(
        cpu_limit=section.text("cpu_limit"),
        cpu_memory=section.text("cpu_memory"),
        num_accelerators=section.whole_number("num_accelerators"),
        accelerator_type=section.texts("accelerator_type"),
        accelerator_memory=section.text("accelerator_memory"),
    )


def read_concepts(top: Section) -> tuple[ConceptInfo, ...]:
    """Section `concepts`: ids and names are text, however they look, and each id stands once."""
    concepts: dict[str, ConceptInfo] = {}
    for section in top.sections("concepts"):
        concept = ConceptInfo(id=section.text("id"), name=section.text("name"))
        if concept.id and concept.id in concepts:
            section.add("id", f"{concept.id!r} is given twice; concept ids have to differ")
        concepts[concept.id] = concept
    if concepts and top.has("checkpoints"):
        top.note("concepts", f"these {len(concepts)} count; the labels of the checkpoint are not read")
    return tuple(concepts.values())


def read_checkpoints(top: Section) -> CheckpointsInfo | None:
    """Section `checkpoints`: which repository of a model hub has the weights."""
    section = top.section("checkpoints")
    if section is None:
        return None
    return CheckpointsInfo(
        type=section.text("type") or "huggingface",
        repo_id=section.text("repo_id"),
        revision=section.text("revision"),
        hf_token=_read_hub_token(section),
        when=section.text("when"),
        allowed_file_patterns=section.texts("allowed_file_patterns"),
        ignore_file_patterns=section.texts("ignore_file_patterns"),
    )


def read_secrets(top: Section) -> tuple[SecretInfo, ...]:
    """Section `secrets`: which variables of the author's own environment the model is handed."""
    secrets: dict[str, SecretInfo] = {}
    for section in top.sections("secrets"):
        section.text("type")
        secret = SecretInfo(
            id=section.text("id"), env_var=section.text("env_var"), description=section.text("description")
        )
        if secret.env_var and secret.env_var in secrets:
            section.add("env_var", f"{secret.env_var!r} is given twice; keep one")
        secrets[secret.env_var] = secret
    if names := ", ".join(name for name in secrets if name):
        top.warn(
            "secrets",
            f"`modelyard run` hands {names} of your environment to the model; a server has no store for secrets yet: "
            "there, let 1/model.py take it from the request, or from a file that the server's operator puts there",
        )
    return tuple(secrets.values())


def read_build(top: Section) -> tuple[str, tuple[str, ...]]:
    """Section `build_info`: the Python version, "" where the server is to choose, and the platforms."""
    section = top.section("build_info")
    if section is None:
        return "", ()
    given = section.text("python_version")
    minor = read_minor(given)
    if minor != given:
        message = f"{given} is read as {minor}: the machine's newest Python {minor} is taken; write {minor}"
        section.warn("python_version", message, better=minor)
    return minor, tuple(one.strip() for one in section.text("platform").split(",") if one.strip())


def read_batching(top: Section) -> BatchingInfo:
    """Section `batching`: how many inputs of different requests come together, and how long one waits for others."""
    section = top.section("batching")
    if section is None:
        return NO_BATCHING
    size, wait_ms = section.whole_number("max_size"), section.whole_number("max_wait_ms")
    if size == 1:
        section.note("max_size", "1 is the same as no batching")
    return BatchingInfo(max_size=max(size, 1), max_wait_ms=wait_ms)


def check_concepts(top: Section, model: ModelInfo) -> None:
    """The guide's rule: concepts are required where the model answers them, unless they come from Hugging Face."""
    known = MODEL_TYPES.get(model.model_type_id)
    if known is None or not known.needs_concepts or top.has("concepts") or top.has("checkpoints"):
        return
    top.add(
        "concepts",
        f"is missing; it is required because {model.model_type_id} outputs concepts and the model is not loaded from "
        "Hugging Face: write `- id: '0'` with `name: ...` below it, or write a checkpoints section",
    )


def _read_model_type(section: Section) -> str:
    type_id = section.text("model_type_id")
    if not section.has("model_type_id"):
        message = f"is missing and read as {DEFAULT_MODEL_TYPE}, whose inputs and outputs are not checked"
        section.warn("model_type_id", f"{message}; name what the model does, such as image-classifier or text-to-text")
        return DEFAULT_MODEL_TYPE
    if type_id and type_id not in MODEL_TYPES:
        _warn_of_type(section, type_id)
    return type_id


def _warn_of_type(section: Section, type_id: str) -> None:
    certain = mend_model_type(type_id)
    close = [certain] if certain else difflib.get_close_matches(type_id, MODEL_TYPES, n=1)
    meant = f"; did you mean {close[0]!r}?" if close else "; its inputs and outputs will not be checked"
    section.warn("model_type_id", f"{show(type_id)} is not a public model type{meant}", better=certain)


def _read_instance(top: Section, *, is_counting: bool) -> ComputeInfo:
    """What `compute` stands for; what is not known leaves the server's defaults, and is told if it is to count."""
    section = top.section("compute")
    if section is None:
        return ComputeInfo()
    section.text("region")
    key = "instance" if section.has("instance") or not section.has("gpu") else "gpu"
    name, gpus, cloud = section.text(key), section.whole_number("num_gpus"), section.text("cloud")
    found = find_instance(name, gpus)
    if not is_counting:
        return ComputeInfo()
    if found is None:
        _warn_of_instance(section, key, name, gpus)
        return ComputeInfo()
    section.note(key, f"{name} is read as {found}; the model runs on this server, whatever the cloud")
    if cloud and name.lower() == found.name and cloud.lower() != found.cloud:
        section.warn("cloud", f"{show(cloud)} does not have {found.name}: it is an instance type of {found.cloud}")
    return _describe_instance(found)


def _warn_of_instance(section: Section, key: str, name: str, gpus: int) -> None:
    instead = "write inference_compute_info with cpu_limit and cpu_memory instead"
    if not name:
        section.warn(key, f"is missing; name an instance type such as g5.xlarge, or {instead}")
        return
    other = find_instance(name)
    if other:
        has = f"{other.gpus} GPUs" if other.gpus != 1 else "1 GPU"
        section.warn("num_gpus", f"{show(name)} has {has}, not {gpus}, so what the model needs is left to the server")
        return
    near = suggest_instances(name)
    meant = f"did you mean {' or '.join(near)}? Otherwise " if near else ""
    section.warn(
        key, f"{show(name)} is not known here, so what the model needs is left to the server; {meant}{instead}"
    )


def _describe_instance(one: Instance) -> ComputeInfo:
    """Any accelerator of the maker's will do that has the memory, as published clients take it."""
    return ComputeInfo(
        cpu_limit=str(one.cpus),
        cpu_memory=one.cpu_memory,
        num_accelerators=one.gpus,
        accelerator_type=("NVIDIA-*",) if one.gpus else (),
        accelerator_memory=one.accelerator_memory,
    )


def _read_hub_token(section: Section) -> str:
    token = section.text("hf_token").strip()
    if not token:
        return ""
    if is_token_placeholder(token):
        message = "is a placeholder and counts as not given; leave it out, and set HF_TOKEN if you need it"
        section.warn("hf_token", message)
        return ""
    section.warn("hf_token", "whoever sees the folder sees this token; leave it out, and set HF_TOKEN instead")
    return token
