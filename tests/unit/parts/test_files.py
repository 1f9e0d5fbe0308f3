"""Parts and manifests: equal content, equal digest; anything else is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelyard.errors import InternalError
from modelyard.parts.files import FileEntry, Part
from modelyard.parts.manifest import Manifest

ONE = FileEntry(path="1/model.py", digest="a" * 64, size_bytes=10)
TWO = FileEntry(path="run.sh", digest="b" * 64, size_bytes=5, is_executable=True)
MANIFEST = Manifest(
    code="c" * 64, weights="", environment="e" * 64, model_type_id="text-to-text", python_version="3.11.7"
)


def test_order_does_not_change_the_digest() -> None:
    assert Part([ONE, TWO]).digest == Part([TWO, ONE]).digest
    assert Part([ONE, TWO]).size_bytes == 15


def test_executability_changes_the_digest() -> None:
    assert Part([ONE]).digest != Part([replace(ONE, is_executable=True)]).digest


def test_digest_of_a_known_part_never_changes() -> None:
    assert Part([ONE, TWO]).digest == "a43b1aebd6db3d3a47a2fe5549b3b4e3e1d157aa9e8048148c27cd461efee196"


def test_part_comes_back_from_json() -> None:
    assert Part.from_json(Part([TWO, ONE]).to_json()) == Part([ONE, TWO])


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b'{"files":[{}]}', b'{"files":[{"path":1,"digest":"x","size":1,"executable":false}]}', b"\xff"],
)
def test_malformed_part_is_refused(content: bytes) -> None:
    with pytest.raises(InternalError, match="cannot be read"):
        Part.from_json(content)


def test_part_with_a_path_twice_is_refused() -> None:
    with pytest.raises(InternalError, match="twice"):
        Part([ONE, ONE])


def test_manifest_comes_back_from_json() -> None:
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST
    assert len(MANIFEST.digest) == 64


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"code":1}', MANIFEST.to_json().replace(b'""', b"3")])
def test_malformed_manifest_is_refused(content: bytes) -> None:
    with pytest.raises(InternalError, match="manifest"):
        Manifest.from_json(content)
