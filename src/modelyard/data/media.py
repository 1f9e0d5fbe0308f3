"""What image, audio and video share: bytes in the format of their file, or a URL."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

from modelyard.errors import InvalidInput

if TYPE_CHECKING:
    from modelyard.data.base import DataMessage, MediaMessage

MediaT = TypeVar("MediaT", bound="Media")


@dataclass(frozen=True)
class Media:
    """Bytes as they are in a file (PNG, MP3, MP4, ...), or a URL, or both once the URL has been fetched.

    Raises:
        InvalidInput: Neither bytes nor a URL is given.
    """

    kind: ClassVar[str]
    """The name of its field in V2 `Data`."""

    content: bytes = field(default=b"", repr=False)
    url: str = ""

    def __post_init__(self) -> None:
        if not self.content and not self.url:
            raise InvalidInput(f"{self.kind}: neither bytes nor a URL is given; give one of them")

    @classmethod
    def from_file(cls: type[MediaT], path: str | Path) -> MediaT:
        """Read a file as it is; nothing is decoded."""
        return cls(content=Path(path).read_bytes())

    @classmethod
    def read(cls: type[MediaT], data: DataMessage) -> MediaT | None:
        """Return it from a V2 `Data`, or None where there is none."""
        if not data.HasField(cls.kind):
            return None
        message: MediaMessage = getattr(data, cls.kind)
        return cls(content=message.base64, url=message.url) if message.base64 or message.url else None

    def write(self, data: DataMessage) -> None:
        """Put it into a V2 `Data`."""
        message: MediaMessage = getattr(data, self.kind)
        message.base64 = self.content
        message.url = self.url
