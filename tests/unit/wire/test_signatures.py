from __future__ import annotations

import pytest

from modelyard.wire.messages import MethodSignature
from modelyard.wire.signatures import decode_signatures, encode_signatures


def test_signatures_come_back_in_their_order() -> None:
    given = [MethodSignature(name="b", description="é"), MethodSignature(name="a", input_fields=[{"name": "x"}])]
    assert decode_signatures(encode_signatures(given)) == given


def test_none_are_an_empty_text() -> None:
    assert encode_signatures([]) == ""
    assert decode_signatures("") == []


@pytest.mark.parametrize("text", ["{", "[]", "1", '{"a": 1}', '{"a": {"name": 3}}', '{"a": {"methodType": "NO"}}'])
def test_nonsense_is_no_signature(text: str) -> None:
    assert decode_signatures(text) == []
