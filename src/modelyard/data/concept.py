"""A concept: one label with how sure the model is of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelyard.errors import InvalidModelOutput

if TYPE_CHECKING:
    from modelyard.data.base import DataMessage


@dataclass(frozen=True)
class Concept:
    """One label.

    Args:
        id: As in the `concepts` of config.yaml; the name, where the model has no ids.
        name: What people read.
        value: 0 (surely not) to 1 (surely); single precision on the wire.

    Raises:
        InvalidModelOutput: It has neither id nor name.

    Example:
        >>> Concept("0", "bus", 0.75).name
        'bus'
    """

    id: str
    name: str = ""
    value: float = 1.0

    def __post_init__(self) -> None:
        if not self.id and not self.name:
            raise InvalidModelOutput("a concept needs an id or a name")

    @classmethod
    def read(cls, data: DataMessage) -> tuple[Concept, ...]:
        """Return the concepts of a V2 `Data`, in their order."""
        return tuple(cls(id=one.id, name=one.name, value=one.value) for one in data.concepts if one.id or one.name)

    def write(self, data: DataMessage) -> None:
        """Add it to a V2 `Data`."""
        concept = data.concepts.add()
        concept.id, concept.name, concept.value = self.id, self.name, self.value
