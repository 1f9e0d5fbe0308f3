"""A frame: one picture of a video, and what is in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelyard.sdk.values.base import MessageData
from modelyard.sdk.values.media import Image
from modelyard.sdk.values.region import Region
from modelyard.wire.messages import Frame as FrameMessage


class Frame(MessageData):
    """One picture of a video.

    Args:
        proto_frame: The V2 message, where there is one already.
        image: The picture.
        regions: What is in it.
        time: Seconds from the start of the video; kept in milliseconds.
        index: Its number, from 0.

    Example:
        >>> Frame(time=1.5, index=3).time
        1.5
    """

    def __init__(
        self,
        proto_frame: FrameMessage | None = None,
        image: Image | None = None,
        regions: Sequence[Region] | None = None,
        time: float | None = None,
        index: int | None = None,
    ) -> None:
        self.proto = FrameMessage() if proto_frame is None else proto_frame
        given = {"image": image, "regions": regions, "time": time, "index": index}
        for name, value in given.items():
            if value is not None:
                setattr(self, name, value)

    @property
    def time(self) -> float:
        """Seconds from the start of the video."""
        return float(self.proto.frame_info.time) / 1000.0

    @time.setter
    def time(self, value: float) -> None:
        self.proto.frame_info.time = int(value * 1000)

    @property
    def index(self) -> int:
        """Its number, from 0."""
        return int(self.proto.frame_info.index)

    @index.setter
    def index(self, value: int) -> None:
        self.proto.frame_info.index = value

    @property
    def image(self) -> Image:
        """The picture."""
        return Image.from_proto(self.proto.data.image)

    @image.setter
    def image(self, value: object) -> None:
        self.proto.data.image.CopyFrom(Image.from_value(value).to_proto())

    @property
    def regions(self) -> list[Region]:
        """What is in it."""
        return [Region(one) for one in self.proto.data.regions]

    @regions.setter
    def regions(self, value: Sequence[Region]) -> None:
        del self.proto.data.regions[:]
        self.proto.data.regions.extend([one.to_proto() for one in value])

    def __repr__(self) -> str:
        return f"Frame(index={self.index}, time={self.time}, regions={self.regions})"

    def to_proto(self) -> FrameMessage:
        """The V2 message."""
        return self.proto

    @classmethod
    def from_proto(cls, proto: Any) -> Frame:
        """The value of a V2 message."""
        return cls(proto)
