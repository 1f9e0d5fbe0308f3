"""A region: a part of an image, and what is in it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from modelyard.sdk.values.base import MessageData
from modelyard.sdk.values.concept import Concept
from modelyard.sdk.values.media import Image
from modelyard.wire.messages import Region as RegionMessage


class Region(MessageData):
    """A part of an image.

    Args:
        proto_region: The V2 message, where there is one already.
        box: Left, top, right, bottom, as shares of the image's width and height, 0 to 1.
        concepts: What is in it.
        mask: An Image, a Pillow image or an array of the same size as the image.
        point: x, y and z.
        track_id: The same in all frames that show the same thing.
        text: What is written there.
        id: Made up where it is not given.

    Raises:
        TypeError: Something is not what it has to be.

    Example:
        >>> Region(box=[0.25, 0.5, 0.75, 1.0], concepts=[Concept("bus", 0.5)]).box
        [0.25, 0.5, 0.75, 1.0]
    """

    def __init__(
        self,
        proto_region: RegionMessage | None = None,
        box: Sequence[float] | None = None,
        concepts: Sequence[Concept] | None = None,
        mask: object = None,
        point: Iterable[float] | None = None,
        track_id: str | None = None,
        text: str | None = None,
        id: str | None = None,  # noqa: A002 - the documented name
    ) -> None:
        if proto_region is not None and not isinstance(proto_region, RegionMessage):
            raise TypeError(f"proto_region has to be a V2 Region, not {type(proto_region).__name__}")
        self.proto = RegionMessage(id=uuid.uuid4().hex if id is None else id) if proto_region is None else proto_region
        if proto_region is not None:
            return
        given = {"box": box, "concepts": concepts, "mask": mask, "point": point, "track_id": track_id, "text": text}
        for name, value in given.items():
            if value is not None:
                setattr(self, name, value)

    def _get_id(self) -> str:
        return str(self.proto.id)

    def _set_id(self, value: str) -> None:
        self.proto.id = value

    id = property(_get_id, _set_id, doc="Its name among the regions of an output.")

    @property
    def text(self) -> str:
        """What is written there."""
        return str(self.proto.data.text.raw)

    @text.setter
    def text(self, value: str) -> None:
        self.proto.data.text.raw = value

    @property
    def box(self) -> list[float]:
        """Left, top, right, bottom."""
        box = self.proto.region_info.bounding_box
        return [box.left_col, box.top_row, box.right_col, box.bottom_row]

    @box.setter
    def box(self, value: Sequence[float]) -> None:
        sides = [float(one) for one in value]
        if len(sides) != 4:
            raise TypeError(f"a box has 4 numbers (left, top, right, bottom), not {len(sides)}")
        box = self.proto.region_info.bounding_box
        box.left_col, box.top_row, box.right_col, box.bottom_row = sides

    @property
    def concepts(self) -> list[Concept]:
        """What is in it."""
        return [Concept.from_proto(one) for one in self.proto.data.concepts]

    @concepts.setter
    def concepts(self, value: Sequence[Concept]) -> None:
        if not all(isinstance(one, Concept) for one in value):
            raise TypeError("concepts have to be Concept objects")
        del self.proto.data.concepts[:]
        self.proto.data.concepts.extend([one.to_proto() for one in value])

    @property
    def mask(self) -> Image:
        """The picture of which pixels belong to it."""
        return Image.from_proto(self.proto.region_info.mask.image)

    @mask.setter
    def mask(self, value: object) -> None:
        self.proto.region_info.mask.image.CopyFrom(Image.from_value(value).to_proto())

    @property
    def track_id(self) -> str:
        """The same in all frames that show the same thing."""
        return str(self.proto.track_id)

    @track_id.setter
    def track_id(self, value: str) -> None:
        self.proto.track_id = value

    @property
    def point(self) -> tuple[float, float, float]:
        """x, y and z."""
        point = self.proto.region_info.point
        return point.col, point.row, point.z

    @point.setter
    def point(self, value: Iterable[float]) -> None:
        numbers = [float(one) for one in value]
        if len(numbers) != 3:
            raise ValueError(f"a point has 3 numbers (x, y, z), not {len(numbers)}")
        point = self.proto.region_info.point
        point.col, point.row, point.z = numbers

    def __repr__(self) -> str:
        return f"Region(id={self.id!r}, box={self.box}, concepts={self.concepts}, track_id={self.track_id!r})"

    def to_proto(self) -> RegionMessage:
        """The V2 message."""
        return self.proto

    @classmethod
    def from_proto(cls, proto: Any) -> Region:
        """The value of a V2 message."""
        return cls(proto)
