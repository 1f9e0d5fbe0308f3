"""An embedding: a vector that stands for an input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelyard.errors import InvalidModelOutput

if TYPE_CHECKING:
    from modelyard.data.base import DataMessage


@dataclass(frozen=True)
class Embedding:
    """A vector of any length, single precision on the wire.

    Raises:
        InvalidModelOutput: It is empty.

    Example:
        >>> len(Embedding((0.25, 0.5)).vector)
        2
    """

    vector: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.vector:
            raise InvalidModelOutput("an embedding needs at least one number")

    @classmethod
    def read(cls, data: DataMessage) -> tuple[Embedding, ...]:
        """Return the embeddings of a V2 `Data`, in their order, leaving out empty ones."""
        vectors = (tuple(message.vector) for message in data.embeddings)
        return tuple(cls(vector) for vector in vectors if vector)

    def write(self, data: DataMessage) -> None:
        """Add it to a V2 `Data`."""
        message = data.embeddings.add()
        message.vector.extend(self.vector)
        message.num_dimensions = len(self.vector)
