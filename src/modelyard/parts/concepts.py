"""Concepts that a checkpoint knows by itself: `id2label` of its config.json."""

from __future__ import annotations

import json

from modelyard.config.schema import ConceptInfo
from modelyard.errors import InvalidConfig

RULE = "concepts are required where a model outputs them and they cannot be inferred from its checkpoint's config.json"
ADVICE = "write the concepts in config.yaml: `concepts:` with `- id: '0'` and `name: ...` below it"
SHOWN_PROBLEMS = 5


def infer_concepts(config_json: bytes) -> tuple[ConceptInfo, ...]:
    """Make the concepts out of a checkpoint's config.json, sorted by their number; ids and names are text.

    Raises:
        InvalidConfig: `id2label` is not there or is no table of labels; several problems at once.
    """
    labels = _read_labels(config_json)
    numbered: dict[int, ConceptInfo] = {}
    problems = []
    for key, label in labels.items():
        number, name = _read_number(key), _read_name(label)
        if number is None:
            problems.append(f"the key {_show(key)} is not a whole number")
        elif number in numbered:
            problems.append(f"the number {number} is there twice")
        elif name is None:
            problems.append(f"the label of {number} is {_show(label)}, not a name")
        else:
            numbered[number] = ConceptInfo(id=str(number), name=name)
    if problems:
        raise _refuse(f"id2label of the checkpoint's config.json cannot be used: {_join(problems)}")
    return tuple(numbered[number] for number in sorted(numbered))


def _read_labels(config_json: bytes) -> dict[str, object]:
    try:
        config = json.loads(config_json)
    except (ValueError, RecursionError) as error:
        raise _refuse(f"the checkpoint's config.json cannot be read: {error}") from None
    if not isinstance(config, dict):
        raise _refuse(f"the checkpoint's config.json is {_name_kind(config)}, not a table of settings")
    if config.get("id2label") is None:
        raise _refuse("the checkpoint's config.json has no id2label")
    labels = config["id2label"]
    if not isinstance(labels, dict):
        raise _refuse(f"id2label of the checkpoint's config.json is {_name_kind(labels)}, not a table number: name")
    if not labels:
        raise _refuse("id2label of the checkpoint's config.json is empty")
    return labels


def _read_number(key: str) -> int | None:
    text = key.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


def _read_name(label: object) -> str | None:
    """A number or a truth value counts as the text that stands in the file; nothing and empty text do not."""
    if isinstance(label, str):
        return label if label.strip() else None
    return json.dumps(label) if isinstance(label, (int, float)) else None


def _refuse(problem: str) -> InvalidConfig:
    return InvalidConfig(f"concepts: {problem}; {RULE}", hint=ADVICE)


def _join(problems: list[str]) -> str:
    more = len(problems) - SHOWN_PROBLEMS
    return "; ".join(problems[:SHOWN_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")


def _name_kind(value: object) -> str:
    kinds = {list: "a list", str: "a text", bool: "a truth value", int: "a number", float: "a number", dict: "a table"}
    return kinds.get(type(value), "empty")


def _show(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:60] + "..."
