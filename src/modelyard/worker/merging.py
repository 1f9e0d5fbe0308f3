"""Many requests as one, and its answer as many. Pure: when it is done is the matter of `batching.py`.

    request a: parameters | input                    answer: status | output | output | output
    request b: parameters | input | input                       to a ──┘        └── to b ──┘
    together:  parameters | input | input | input

A serialised request is its fields one after the other, so its inputs are cut out, and put behind those of others,
without being read. Requests may be merged whose rest is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from modelyard.errors import InvalidModelOutput
from modelyard.wire.messages import (
    DecodeError,
    MultiOutputResponse,
    Output,
    PostModelOutputsRequest,
    Status,
    StatusCode,
)
from modelyard.wire.nesting import encode_varint, list_fields
from modelyard.wire.notes import TAG as NOTE_TAG
from modelyard.worker.answers import fill_status, sum_up

_INPUTS_TAG = PostModelOutputsRequest.DESCRIPTOR.fields_by_name["inputs"].number << 3 | 2
_OUTPUTS_TAG = bytes([MultiOutputResponse.DESCRIPTOR.fields_by_name["outputs"].number << 3 | 2])
_METHOD_NAME = b"_method_name"
_REMEMBERED_BYTES = 1 << 14
"""Parameters above this are compared, too, but not remembered."""
_OF_ALL = frozenset({StatusCode.MIXED_STATUS, StatusCode.FAILURE})
"""Codes that sum up outputs. Of the outputs of one caller the sum may be another."""


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Parcel:
    """One request, taken apart."""

    key: bytes
    """Equal for requests with equal parameters, however their clients serialised them."""
    params: bytes
    """All but the inputs, as it came."""
    inputs: tuple[memoryview, ...]
    """Each with its tag and length."""


def open_parcel(payload: bytes) -> Parcel | None:
    """Take a request apart.

    None where it has to be alone: it cannot be read, it has no inputs, or it names the method that it asks for inside
    of its inputs, as clients of a newer style do.
    """
    view = memoryview(payload)
    params: list[memoryview] = []
    inputs: list[memoryview] = []
    try:
        for tag, start, _, end in list_fields(payload, 0, len(payload)):
            if tag == NOTE_TAG:
                continue
            fields = inputs if tag == _INPUTS_TAG else params
            fields.append(view[start:end])
        if not inputs or _names_method(payload, inputs[0]):
            return None
        rest = b"".join(params)
        return Parcel(key=_make_key(rest), params=rest, inputs=tuple(inputs))
    except (ValueError, IndexError, DecodeError):
        return None


def merge(parcels: Sequence[Parcel]) -> PostModelOutputsRequest:
    """One request with the inputs of all, in their order. Raises `DecodeError` where an input cannot be read."""
    pieces: list[bytes | memoryview] = [parcels[0].params, *(one for parcel in parcels for one in parcel.inputs)]
    return PostModelOutputsRequest.FromString(b"".join(pieces))


def split(answer: MultiOutputResponse, counts: Sequence[int], request_ids: Sequence[str] = ()) -> Iterator[bytes]:
    """The serialised answers for requests with so many inputs each, in their order, with the statuses that each would
    have got alone.

    Raises:
        InvalidModelOutput: The outputs are not as many as the inputs: whose they are cannot be known.
    """
    check_count(answer, counts)
    given = answer.status
    kept = given if given.code and given.code not in _OF_ALL else None
    outputs = iter(answer.outputs)
    for count, request_id in zip(counts, request_ids or [""] * len(counts), strict=True):
        own = [next(outputs) for _ in range(count)]
        for output in own:
            fill_status(output)
        head = MultiOutputResponse(status=kept or _sum_up(own))
        if request_id:
            head.status.req_id = request_id
        yield b"".join((head.SerializeToString(), *_encode(own)))


def check_count(answer: MultiOutputResponse, counts: Sequence[int]) -> None:
    """Raise `InvalidModelOutput` unless there is one output for each input."""
    sent, returned = sum(counts), len(answer.outputs)
    if sent == returned:
        return
    together = f", merged from {len(counts)} requests," if len(counts) > 1 else ""
    raise InvalidModelOutput(
        f"predict was sent {_name(sent, 'input')}{together} and returned {_name(returned, 'output')}; with batching it "
        "has to return one for each input, in their order",
        hint="loop over request.inputs and append an Output for each, or take `batching` out of config.yaml",
    )


def _name(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _sum_up(outputs: Sequence[Output]) -> Status:
    succeeded = sum(output.status.code == StatusCode.SUCCESS for output in outputs)
    code, description = sum_up(succeeded, len(outputs))
    return Status(code=code, description=description)


def _encode(outputs: Sequence[Output]) -> Iterator[bytes]:
    for output in outputs:
        payload = output.SerializeToString()
        yield _OUTPUTS_TAG + encode_varint(len(payload))
        yield payload


def _names_method(payload: bytes, first: memoryview) -> bool:
    """May this be a request of the newer style? Asked of the bytes: a text that has the word is alone for nothing."""
    return _METHOD_NAME in payload and _METHOD_NAME in bytes(first)


def _make_key(params: bytes) -> bytes:
    return _canonical(params) if len(params) <= _REMEMBERED_BYTES else _canonical.__wrapped__(params)


@lru_cache(maxsize=256)
def _canonical(params: bytes) -> bytes:
    """The same bytes for the same parameters. Clients may order fields and the keys of a map as they like."""
    key: bytes = PostModelOutputsRequest.FromString(params).SerializeToString(deterministic=True)
    return key
