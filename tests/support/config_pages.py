"""The reference pages of config.yaml, written from the declarations of its keys: `script/update-reference`."""

from __future__ import annotations

import json
from collections.abc import Mapping

from modelyard.config.instances import INSTANCES, SHORT_NAMES
from modelyard.config.json_schema import make_schema
from modelyard.config.key import Key, Kind
from modelyard.config.keys import TOP

HEAD = """\
# config.yaml

Written by `script/update-reference` from `config/keys.py`, the one declaration that the checker and the
[JSON schema](config.schema.json) are made from. `modelyard check DIR` checks a file, `modelyard schema DIR` makes
editors do so ([how to](../how-to/check.md)).
"""
KINDS = {
    Kind.TEXT: "text",
    Kind.NUMBER: "whole number",
    Kind.TEXTS: "list of text",
    Kind.SECTION: "section",
    Kind.SECTIONS: "list of sections",
    Kind.ANYTHING: "anything",
}


def render_config() -> str:
    """Every key: what it says, its default, its meaning."""
    lines = [HEAD, "## The file", "", *_render_keys(TOP)]
    for key in TOP.values():
        if key.keys:
            entry = ", each entry" if key.kind is Kind.SECTIONS else ""
            lines += ["", f"## {key.name}{entry}", "", key.meaning, "", *_render_keys(key.keys)]
    lines += ["", "## Published keys without effect here", "", "Each is told, with what to do instead.", ""]
    lines += ["| key | instead |", "|---|---|", *_render_idle("", TOP)]
    return "\n".join(lines) + "\n"


def _render_keys(keys: Mapping[str, Key]) -> list[str]:
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for key in keys.values():
        if not key.idle:
            default = "**required**" if key.is_required else key.default
            name = f"[`{key.name}`](#{_anchor(key)})" if key.keys else f"`{key.name}`"
            lines.append(f"| {name} | {_describe_value(key)} | {default} | {key.meaning} |")
    return lines


def _anchor(key: Key) -> str:
    return f"{key.name}-each-entry" if key.kind is Kind.SECTIONS else key.name


def _describe_value(key: Key) -> str:
    words = KINDS[key.kind]
    if key.kind is Kind.NUMBER:
        words = f"{words}, {key.low} to {key.high}"
    if "enum" in key.rule.schema:
        return " or ".join(f"`{one}`" for one in key.rule.schema["enum"])
    if key.name == "model_type_id":
        return "a [model type](model-types.md)"
    if key.name == "instance":
        return "an [instance type](instances.md)"
    shown = ", ".join(f"`{one}`" for one in key.examples)
    return f"{words}, such as {shown}" if shown else words


def _render_idle(path: str, keys: Mapping[str, Key]) -> list[str]:
    lines = []
    for key in keys.values():
        if key.idle:
            lines.append(f"| `{path}{key.name}` | {key.idle} |")
        lines += _render_idle(f"{path}{key.name}{'[]' if key.kind is Kind.SECTIONS else ''}.", key.keys)
    return lines


def render_instances() -> str:
    """What `compute.instance` may be."""
    lines = [
        "# Instance types",
        "",
        "Written by `script/update-reference` from `config/instances.py`: what `compute.instance` of config.yaml",
        "stands for. An eighth of the memory is left to the operating system. Any NVIDIA GPU with that memory will do.",
        "",
        "| name | is short for |",
        "|---|---|",
        *(f"| `{short}` | `{name}` |" for short, name in SHORT_NAMES.items()),
        "",
        "| instance type | cloud | cpu_limit | cpu_memory | GPUs | accelerator_memory |",
        "|---|---|---:|---:|---|---:|",
    ]
    for one in INSTANCES.values():
        gpus = f"{one.gpus} x {one.gpu.name}" if one.gpu else ""
        lines.append(
            f"| `{one.name}` | {one.cloud} | {one.cpus} | {one.cpu_memory} | {gpus} | {one.accelerator_memory} |"
        )
    return "\n".join(lines) + "\n"


def render_schema() -> str:
    """The JSON schema."""
    return json.dumps(make_schema(), indent=1, ensure_ascii=False) + "\n"
