"""Signatures of typed methods as JSON, as the contract has them: an object of `MethodSignature`s by name."""

from __future__ import annotations

import json
from collections.abc import Iterable

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError

from modelyard.wire.messages import Input, MethodSignature, RunnerMethodType

METHOD_NAME = "_method_name"
"""The key of an input's metadata under which clients name the method that they mean."""
RESULT = "return"
"""The part of an output that holds what a method answered."""
_KINDS = {
    RunnerMethodType.UNARY_UNARY: "predict",
    RunnerMethodType.UNARY_STREAMING: "generate",
    RunnerMethodType.STREAMING_STREAMING: "stream",
}


def kind_of(signature: MethodSignature) -> str:
    """How a method is called: `predict`, `generate` or `stream`; "" for what has no name yet."""
    return _KINDS.get(signature.method_type, "")


def name_method(given: Input, name: str) -> Input:
    """The same input for the method of this name."""
    named = Input()
    named.CopyFrom(given)
    named.data.metadata[METHOD_NAME] = name
    return named


def encode_signatures(signatures: Iterable[MethodSignature]) -> str:
    """The JSON of signatures; "" where there are none."""
    by_name = {one.name: MessageToDict(one) for one in signatures}
    return json.dumps(by_name) if by_name else ""


def decode_signatures(text: str) -> list[MethodSignature]:
    """The signatures that such JSON tells; none where it cannot be read. A worker, or another server, wrote it."""
    try:
        found = json.loads(text) if text else {}
        if not isinstance(found, dict):
            return []
        read = [ParseDict(one, MethodSignature(), ignore_unknown_fields=True) for one in found.values()]
        return [one for one in read if one.name]
    except (ValueError, TypeError, AttributeError, RecursionError, ParseError):
        return []
