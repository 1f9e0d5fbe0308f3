"""A concept: one label with how sure the model is of it."""

from __future__ import annotations

import re
from typing import Any

from modelyard.sdk.values.base import MessageData
from modelyard.wire.messages import Concept as ConceptMessage


class Concept(MessageData):
    """One label.

    Args:
        name: What people read.
        value: 0 (surely not) to 1 (surely); single precision on the wire.
        id: As in the `concepts` of config.yaml; made of the name where it is not given.

    Example:
        >>> Concept("school bus", 0.75)
        Concept(id='school-bus', name='school bus', value=0.75)
    """

    def __init__(self, name: str, value: float = 1.0, id: str | None = None) -> None:  # noqa: A002 - the documented name
        self.name = name
        self.value = value
        self.id = id or make_concept_id(name)

    def __repr__(self) -> str:
        return f"Concept(id={self.id!r}, name={self.name!r}, value={self.value})"

    def to_proto(self) -> ConceptMessage:
        """The V2 message."""
        return ConceptMessage(id=self.id, name=self.name, value=self.value)

    @classmethod
    def from_proto(cls, proto: Any) -> Concept:
        """The value of a V2 message."""
        return cls(id=proto.id, name=proto.name, value=proto.value)


def make_concept_id(name: str) -> str:
    """`traffic light!` becomes `traffic-light`: letters, digits and white space stay, blanks become hyphens."""
    return re.sub(r"[^a-zA-Z0-9\s]", "", name).replace(" ", "-")
