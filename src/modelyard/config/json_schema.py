"""The JSON schema of config.yaml, made from `keys.py`: editors complete, explain and check with it.

It refuses what the checker refuses, as far as a schema can say it, and keys that the checker only warns about: editors
underline. Published keys without effect are marked as deprecated, with what to do instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelyard.config.key import Key, Kind
from modelyard.config.keys import TOP
from modelyard.config.model_types import MODEL_TYPES

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]


def make_schema() -> Schema:
    """Return the whole schema."""
    return {
        "$schema": DIALECT,
        "$id": "urn:modelyard:config",
        "title": "config.yaml of a model folder",
        "description": "Which model the folder is, what it needs to run, and where its weights come from.",
        **_describe_section(TOP),
        "if": _demand_concepts(),
        "then": {"anyOf": [{"required": ["concepts"]}, {"required": ["checkpoints"]}]},
    }


def _describe_section(keys: Mapping[str, Key]) -> Schema:
    required = [name for name, key in keys.items() if key.is_required]
    return {
        "type": "object",
        "properties": {name: _describe(key) for name, key in keys.items()},
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }


def _describe(key: Key) -> Schema:
    told = key.meaning
    if key.default and not key.is_required:
        told += f" Default: {key.default}."
    schema: Schema = {"description": told}
    if key.idle:
        schema["deprecated"] = True
    schema |= _describe_value(key)
    if key.examples:
        schema["examples"] = [[*key.examples]] if key.kind is Kind.TEXTS else _convert_examples(key)
    return schema if key.is_required else _or_nothing(schema)


def _describe_value(key: Key) -> Schema:
    match key.kind:
        case Kind.TEXT:
            return _describe_text(key)
        case Kind.NUMBER:
            whole = {"type": "integer", "minimum": key.low, "maximum": key.high}
            return {"anyOf": [whole, {"type": "string", "pattern": "^[0-9]{1,4}$"}]}
        case Kind.TEXTS:
            text = _describe_text(key)
            return {"anyOf": [{"type": "array", "items": text}, text]}
        case Kind.SECTION:
            return _describe_section(key.keys)
        case Kind.SECTIONS:
            return {"type": "array", "items": _describe_section(key.keys)}
        case Kind.ANYTHING:
            return {}


def _describe_text(key: Key) -> Schema:
    schema = dict(key.rule.schema)
    if not key.suggested or "anyOf" in schema:
        return schema
    return {"anyOf": [{"enum": [*key.suggested]}, schema]}


def _convert_examples(key: Key) -> list[object]:
    return [int(one) if key.kind is Kind.NUMBER else one for one in key.examples]


def _or_nothing(schema: Schema) -> Schema:
    """A key without a value counts as not given."""
    if "type" in schema:
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        return {**schema, "type": [*types, "null"]}
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]}
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    return schema


def _demand_concepts() -> Schema:
    """Where the guide's rule asks for concepts."""
    types = [name for name, info in MODEL_TYPES.items() if info.needs_concepts]
    model = {"required": ["model_type_id"], "properties": {"model_type_id": {"enum": types}}}
    return {"required": ["model"], "properties": {"model": model}}
