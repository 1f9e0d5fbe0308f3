"""The JSON that most predictions are: texts, media, arguments and parameters. It is read, checked and made a message
without a step of Python for each of its objects. Any other shape, and whatever is wrong, is left to `json_text` and
`fill`, which agree on these."""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from modelyard.wire.messages import PostModelOutputsRequest

MAX_BYTES: Final = 16 * 1024
"""Of larger bodies most is in few values, which cost more than their objects."""
_ESCAPED_QUOTE: Final = b"\\u0022"


_Params: TypeAlias = dict[str, str | bool | int | float]
"""A `Struct` of values without anything inside them."""


class _Known(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """An object that has these keys and no others: no null, no second spelling."""


class _Text(_Known):
    raw: str | UnsetType = UNSET
    url: str | UnsetType = UNSET


class _Media(_Known):
    base64: bytes | UnsetType = UNSET
    url: str | UnsetType = UNSET


class _Array(_Known):
    buffer: bytes | UnsetType = UNSET
    shape: list[int] | UnsetType = UNSET
    dtype: str | UnsetType = UNSET


class _PartData(_Known):
    text: _Text | UnsetType = UNSET
    image: _Media | UnsetType = UNSET
    audio: _Media | UnsetType = UNSET
    video: _Media | UnsetType = UNSET
    ndarray: _Array | UnsetType = UNSET
    string_value: str | UnsetType = UNSET
    bytes_value: bytes | UnsetType = UNSET
    bool_value: bool | UnsetType = UNSET
    int_value: int | UnsetType = UNSET
    float_value: float | UnsetType = UNSET


class _Part(_Known):
    id: str | UnsetType = UNSET
    data: _PartData | UnsetType = UNSET


class _Data(_PartData):
    parts: list[_Part] | UnsetType = UNSET
    metadata: _Params | UnsetType = UNSET


class _Input(_Known):
    id: str | UnsetType = UNSET
    data: _Data | UnsetType = UNSET


class _UserApp(_Known):
    user_id: str | UnsetType = UNSET
    app_id: str | UnsetType = UNSET


class _OutputInfo(_Known):
    params: _Params | UnsetType = UNSET


class _ModelVersion(_Known):
    id: str | UnsetType = UNSET
    output_info: _OutputInfo | UnsetType = UNSET


class _Model(_Known):
    id: str | UnsetType = UNSET
    model_version: _ModelVersion | UnsetType = UNSET


class Usual(_Known):
    """A request in the usual shape."""

    inputs: list[_Input]
    user_app_id: _UserApp | UnsetType = UNSET
    model_id: str | UnsetType = UNSET
    version_id: str | UnsetType = UNSET
    model: _Model | UnsetType = UNSET


_read = msgspec.json.Decoder(Usual).decode
_write = msgspec.json.Encoder().encode
_AS_THEY_ARE: Final = (bytes,)


def read_usual(body: bytes) -> Usual | None:
    """The request in `body`; None where it has another shape, or is none."""
    if len(body) > MAX_BYTES:
        return None
    try:
        usual = _read(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return usual if _has_all_keys(body, usual) else None


def find_only_text(usual: Usual) -> str | None:
    """The text of a request that has one, and says nothing else."""
    if len(usual.inputs) != 1 or usual.user_app_id or usual.model_id or usual.version_id or usual.model:
        return None
    one = usual.inputs[0]
    data = one.data
    if one.id or not data or data.parts or data.string_value or not data.text or data.text.url:
        return None
    is_all = data == _Data(text=data.text, string_value=data.string_value, parts=data.parts)
    return data.text.raw or None if is_all else None


def make_usual(usual: Usual) -> PostModelOutputsRequest | None:
    """The message; None where a text or a number is none that a message may have."""
    try:
        return PostModelOutputsRequest(**msgspec.to_builtins(usual, builtin_types=_AS_THEY_ARE))
    except (ValueError, TypeError, OverflowError):
        return None


def _has_all_keys(body: bytes, usual: Usual) -> bool:
    """Is each key there once? Of two the reader would take the last. What it has read is written again, which takes
    quotes for every key and text: a key that is lost is two quotes less."""
    return body.count(b'"') == _write(usual).count(b'"') and _ESCAPED_QUOTE not in body
