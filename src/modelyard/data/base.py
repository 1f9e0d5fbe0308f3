"""The shape of the V2 `Data` message, as far as this room reads and writes it: no import of the messages themselves.

The nouns of this room all have two methods: `write(data)` puts them into a V2 `Data`, `read(data)` gets them out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

ItemT = TypeVar("ItemT", covariant=True)  # noqa: PLC0105 - the house names type variables by what they stand for


class Repeated(Protocol[ItemT]):
    """A repeated field of messages: `add()` makes one at its end and returns it."""

    def add(self) -> ItemT: ...
    def __iter__(self) -> Iterator[ItemT]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> ItemT: ...


class Numbers(Protocol):
    """A repeated field of numbers."""

    def extend(self, values: Iterable[float], /) -> None: ...
    def __iter__(self) -> Iterator[float]: ...


class TextMessage(Protocol):
    """V2 `Text`."""

    raw: str
    url: str


class MediaMessage(Protocol):
    """V2 `Image`, `Audio` and `Video`; `base64` holds the bytes as they are, JSON alone writes them as base64."""

    base64: bytes
    url: str


class ConceptMessage(Protocol):
    """V2 `Concept`."""

    id: str
    name: str
    value: float


class EmbeddingMessage(Protocol):
    """V2 `Embedding`."""

    num_dimensions: int

    @property
    def vector(self) -> Numbers: ...


class BoxMessage(Protocol):
    """V2 `BoundingBox`: shares of the height and width, 0 to 1."""

    top_row: float
    left_col: float
    bottom_row: float
    right_col: float


class RegionInfoMessage(Protocol):
    """V2 `RegionInfo`."""

    @property
    def bounding_box(self) -> BoxMessage: ...


class RegionMessage(Protocol):
    """V2 `Region`."""

    id: str
    value: float

    @property
    def region_info(self) -> RegionInfoMessage: ...
    @property
    def data(self) -> DataMessage: ...


class DataMessage(Protocol):
    """V2 `Data`: what an input carries and an output answers."""

    def HasField(self, field_name: str, /) -> bool: ...  # noqa: N802 - the message's own name
    @property
    def text(self) -> TextMessage: ...
    @property
    def image(self) -> MediaMessage: ...
    @property
    def audio(self) -> MediaMessage: ...
    @property
    def video(self) -> MediaMessage: ...
    @property
    def concepts(self) -> Repeated[ConceptMessage]: ...
    @property
    def regions(self) -> Repeated[RegionMessage]: ...
    @property
    def embeddings(self) -> Repeated[EmbeddingMessage]: ...
