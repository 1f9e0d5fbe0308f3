"""From a field of a signature to its codec: what clients know of a method is its signature alone."""

from __future__ import annotations

from modelyard.sdk.typed.arrays import Array
from modelyard.sdk.typed.atoms import BOOL, BYTES, FLOAT, INT, STR
from modelyard.sdk.typed.codec import Codec, DataType
from modelyard.sdk.typed.containers import FieldsOf, ListOf, TupleOf
from modelyard.sdk.typed.documents import Document
from modelyard.sdk.typed.messages import AUDIO, CONCEPT, FRAME, IMAGE, REGION, TEXT, VIDEO
from modelyard.wire.messages import ModelTypeField

_CODECS: dict[int, Codec] = {
    DataType.STR: STR,
    DataType.BYTES: BYTES,
    DataType.INT: INT,
    DataType.FLOAT: FLOAT,
    DataType.BOOL: BOOL,
    DataType.NDARRAY: Array(),
    DataType.JSON_DATA: Document(name="JSON"),
    DataType.TEXT: TEXT,
    DataType.IMAGE: IMAGE,
    DataType.CONCEPT: CONCEPT,
    DataType.REGION: REGION,
    DataType.FRAME: FRAME,
    DataType.AUDIO: AUDIO,
    DataType.VIDEO: VIDEO,
}


def find_codec(field: ModelTypeField) -> Codec:
    """The codec of a field. Raises KeyError for a type that is not known here, and IndexError for a list of nothing."""
    if field.type == DataType.LIST:
        return ListOf(inner=find_codec(field.type_args[0]))
    if field.type == DataType.TUPLE:
        return TupleOf(inners=tuple(find_codec(one) for one in field.type_args))
    if field.type == DataType.NAMED_FIELDS:
        return FieldsOf(inners={one.name: find_codec(one) for one in field.type_args})
    return _CODECS[field.type]
