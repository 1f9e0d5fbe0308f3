"""Each noun against the real V2 messages: what is written is what is read, and absence is not emptiness."""

from __future__ import annotations

import doctest
import importlib

import pytest

from modelyard.data.audio import Audio
from modelyard.data.concept import Concept
from modelyard.data.embedding import Embedding
from modelyard.data.image import Image
from modelyard.data.region import Region
from modelyard.data.text import Text
from modelyard.data.video import Video
from modelyard.errors import InvalidInput, InvalidModelOutput
from modelyard.wire.messages import Data

MEDIA = [Image, Audio, Video]
SINGLE = [
    Text("hello"),
    Text(""),
    Text(url="https://example.com/a.txt"),
    *(kind(b"\x89bytes") for kind in MEDIA),
    *(kind(url="https://example.com/a") for kind in MEDIA),
    Image(b"fetched", url="https://example.com/a"),
]
MANY = [
    Concept("0", "bus", 0.75),
    Concept("0", "bus", 0.0),
    Concept("", "only a name"),
    Embedding((0.25, -2.0, 0.0)),
    Region(top=0.0, left=0.25, bottom=0.5, right=1.0),
    Region(top=0.125, left=0.25, bottom=0.5, right=1.0, concepts=(Concept("1", "a", 0.5), Concept("2", "b", 0.25))),
]


@pytest.mark.parametrize("value", SINGLE, ids=repr)
def test_what_is_written_is_read_after_the_wire(value):
    data = Data()
    value.write(data)
    assert type(value).read(Data.FromString(data.SerializeToString())) == value


@pytest.mark.parametrize("value", MANY, ids=repr)
def test_what_is_added_is_read_in_order_after_the_wire(value):
    data = Data()
    value.write(data)
    value.write(data)
    assert type(value).read(Data.FromString(data.SerializeToString())) == (value, value)


@pytest.mark.parametrize("kind", [Text, *MEDIA])
def test_an_absent_field_is_none(kind):
    assert kind.read(Data()) is None


@pytest.mark.parametrize("kind", [Concept, Region, Embedding])
def test_an_absent_list_is_empty(kind):
    assert kind.read(Data()) == ()


@pytest.mark.parametrize("kind", MEDIA)
def test_a_field_with_neither_bytes_nor_url_is_none(kind):
    data = Data()
    getattr(data, kind.kind).SetInParent()
    assert kind.read(data) is None


@pytest.mark.parametrize("kind", MEDIA)
def test_media_without_bytes_and_url_is_refused(kind):
    with pytest.raises(InvalidInput, match=f"{kind.kind}: neither bytes nor a URL"):
        kind()


@pytest.mark.parametrize("kind", MEDIA)
def test_media_is_read_from_a_file_as_it_is(kind, tmp_path):
    path = tmp_path / "sample"
    path.write_bytes(b"\x00\xff")
    assert kind.from_file(path).content == b"\x00\xff"
    assert kind.from_file(str(path)) == kind(b"\x00\xff")


def test_text_is_read_from_a_utf8_file(tmp_path):
    path = tmp_path / "sample.txt"
    path.write_bytes("grüße".encode())
    assert Text.from_file(path) == Text("grüße")


def test_bytes_are_not_shown():
    assert "secret" not in repr(Image(b"secret"))


def test_different_fields_live_beside_each_other():
    data = Data()
    Text("what is this?").write(data)
    Image(b"png").write(data)
    assert (Text.read(data), Image.read(data), Audio.read(data)) == (Text("what is this?"), Image(b"png"), None)


def test_a_region_from_pixels_is_cut_at_the_edges():
    region = Region.from_pixels(top=-5, left=50, bottom=120, right=150, height=100, width=200)
    assert (region.top, region.left, region.bottom, region.right) == (0.0, 0.25, 1.0, 0.75)


@pytest.mark.parametrize("sides", [(0.5, 0.0, 0.1, 1.0), (0.0, 0.5, 1.0, 0.1)])
def test_a_box_turned_over_is_refused(sides):
    top, left, bottom, right = sides
    with pytest.raises(InvalidModelOutput, match="is turned over"):
        Region(top=top, left=left, bottom=bottom, right=right)


def test_empty_concepts_and_embeddings_are_refused_and_passed_over():
    with pytest.raises(InvalidModelOutput, match="id or a name"):
        Concept("")
    with pytest.raises(InvalidModelOutput, match="at least one number"):
        Embedding(())
    data = Data()
    data.concepts.add()
    data.embeddings.add()
    assert (Concept.read(data), Embedding.read(data)) == ((), ())


@pytest.mark.parametrize("name", ["text", "image", "audio", "video", "concept", "region", "embedding"])
def test_the_examples_run(name):
    results = doctest.testmod(importlib.import_module(f"modelyard.data.{name}"))
    assert (results.failed, results.attempted >= 1) == (0, True)
