"""The smallest input that fits a typed method: each argument that has to be given, of its type."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence

from modelyard.parts.sample_inputs import make_sample
from modelyard.wire.messages import Data, Input, MethodSignature, ModelTypeField
from modelyard.wire.signatures import kind_of, name_method

DataType = ModelTypeField.DataType
TEXT = make_sample("text").data.text.raw
_WORTH_SENDING = (DataType.STR, DataType.TEXT, DataType.IMAGE, DataType.AUDIO, DataType.VIDEO)
"""What a method is for, though its author gave it a default."""
_EMPTY_DEFAULTS = ("", "null")


def make_typed_sample(signature: MethodSignature) -> Input:
    """An input for this method, which it names. What has a default is left out, unless nothing else is there."""
    made = Input()
    for field in _list_sent(signature):
        part = made.data.parts.add()
        part.id = field.name
        _write(field, part.data)
    return name_method(made, signature.name)


def choose_method(signatures: Sequence[MethodSignature], kind: str = "") -> MethodSignature | None:
    """The method to ask first: of this kind, the one that is called like it, else the first.

    Without a kind: of the first kind of predict, generate and stream that there is.
    """
    for wanted in (kind,) if kind else ("predict", "generate", "stream"):
        of_kind = [one for one in signatures if kind_of(one) == wanted]
        if of_kind:
            return next((one for one in of_kind if one.name == wanted), of_kind[0])
    return None


def _list_sent(signature: MethodSignature) -> Iterator[ModelTypeField]:
    required = [one for one in signature.input_fields if one.required]
    yield from required
    first = signature.input_fields[0] if signature.input_fields and not required else None
    if first is not None and first.type in _WORTH_SENDING and first.default in _EMPTY_DEFAULTS and not first.is_param:
        yield first


def _write(field: ModelTypeField, data: Data) -> None:
    if field.type == DataType.LIST and field.type_args[0].type in _SIDE_BY_SIDE:
        _write(field.type_args[0], data)
    elif field.type == DataType.LIST:
        _write(field.type_args[0], data.parts.add().data)
    elif field.type in (DataType.TUPLE, DataType.NAMED_FIELDS):
        for number, one in enumerate(field.type_args):
            part = data.parts.add()
            part.id = str(number) if field.type == DataType.TUPLE else one.name
            _write(one, part.data)
    elif field.model_type_enum_options:
        data.string_value = field.model_type_enum_options[0].id
    elif field.type in _WRITERS:
        _WRITERS[field.type](field, data)


def _write_text(field: ModelTypeField, data: Data) -> None:
    del field
    data.string_value = TEXT


def _write_number(field: ModelTypeField, data: Data) -> None:
    least = field.model_type_range_info.min if field.HasField("model_type_range_info") else 1
    if field.type == DataType.INT:
        data.int_value = int(least)
    else:
        data.float_value = least


def _write_bool(field: ModelTypeField, data: Data) -> None:
    del field
    data.bool_value = True


def _write_bytes(field: ModelTypeField, data: Data) -> None:
    del field
    data.bytes_value = TEXT.encode()


def _write_document(field: ModelTypeField, data: Data) -> None:
    """A message of a chat, which is what most documents are."""
    del field
    data.struct_value.update({"role": "user", "content": TEXT})


def _write_array(field: ModelTypeField, data: Data) -> None:
    del field
    data.ndarray.buffer = struct.pack("<6f", *range(6))
    data.ndarray.shape.extend((2, 3))
    data.ndarray.dtype = "float32"


def _write_media(field: ModelTypeField, data: Data) -> None:
    data.MergeFrom(make_sample(DataType.Name(field.type).lower()).data)


def _write_concept(field: ModelTypeField, data: Data) -> None:
    del field
    concept = data.concepts.add()
    concept.id, concept.name, concept.value = "sample", "sample", 1.0


def _write_region(field: ModelTypeField, data: Data) -> None:
    region = data.regions.add()
    region.id = "sample"
    box = region.region_info.bounding_box
    box.top_row, box.left_col, box.bottom_row, box.right_col = 0.25, 0.25, 0.75, 0.75
    _write_concept(field, region.data)


def _write_frame(field: ModelTypeField, data: Data) -> None:
    del field
    data.frames.add().data.MergeFrom(make_sample("image").data)


_WRITERS: Mapping[int, Callable[[ModelTypeField, Data], None]] = {
    DataType.STR: _write_text,
    DataType.BYTES: _write_bytes,
    DataType.INT: _write_number,
    DataType.FLOAT: _write_number,
    DataType.BOOL: _write_bool,
    DataType.NDARRAY: _write_array,
    DataType.JSON_DATA: _write_document,
    DataType.TEXT: _write_media,
    DataType.IMAGE: _write_media,
    DataType.AUDIO: _write_media,
    DataType.VIDEO: _write_media,
    DataType.CONCEPT: _write_concept,
    DataType.REGION: _write_region,
    DataType.FRAME: _write_frame,
}
_SIDE_BY_SIDE = (DataType.CONCEPT, DataType.REGION, DataType.FRAME)
