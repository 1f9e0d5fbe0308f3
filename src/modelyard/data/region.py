"""A region: a box in an image and what is in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelyard.data.concept import Concept
from modelyard.errors import InvalidModelOutput

if TYPE_CHECKING:
    from modelyard.data.base import DataMessage, RegionMessage


@dataclass(frozen=True, kw_only=True)
class Region:
    """A box with its concepts. Its sides are shares of the image's height and width, 0 to 1, from the top left.

    Raises:
        InvalidModelOutput: The box is turned over: its top below its bottom, or its left right of its right.

    Example:
        >>> Region(top=0.1, left=0.2, bottom=0.5, right=0.6, concepts=(Concept("0", "bus", 0.9),)).bottom
        0.5
    """

    top: float
    left: float
    bottom: float
    right: float
    concepts: tuple[Concept, ...] = ()

    def __post_init__(self) -> None:
        if self.top > self.bottom or self.left > self.right:
            box = f"top={self.top:g} left={self.left:g} bottom={self.bottom:g} right={self.right:g}"
            raise InvalidModelOutput(f"the box {box} is turned over; top and left are the smaller ones")

    @classmethod
    def from_pixels(
        cls,
        *,
        top: float,
        left: float,
        bottom: float,
        right: float,
        height: int,
        width: int,
        concepts: tuple[Concept, ...] = (),
    ) -> Region:
        """Make a region from pixels of an image of that height and width; what lies outside is cut off."""
        return cls(
            top=_share(top, height),
            left=_share(left, width),
            bottom=_share(bottom, height),
            right=_share(right, width),
            concepts=concepts,
        )

    @classmethod
    def read(cls, data: DataMessage) -> tuple[Region, ...]:
        """Return the regions of a V2 `Data`, in their order."""
        return tuple(_read_region(message) for message in data.regions)

    def write(self, data: DataMessage) -> None:
        """Add it to a V2 `Data`."""
        region = data.regions.add()
        box = region.region_info.bounding_box
        box.top_row, box.left_col, box.bottom_row, box.right_col = self.top, self.left, self.bottom, self.right
        for concept in self.concepts:
            concept.write(region.data)


def _share(pixels: float, size: int) -> float:
    return min(max(pixels / size, 0.0), 1.0)


def _read_region(message: RegionMessage) -> Region:
    box = message.region_info.bounding_box
    return Region(
        top=box.top_row,
        left=box.left_col,
        bottom=box.bottom_row,
        right=box.right_col,
        concepts=Concept.read(message.data),
    )
