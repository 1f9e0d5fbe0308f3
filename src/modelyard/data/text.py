"""Text, in its own words or behind a URL."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelyard.data.base import DataMessage


@dataclass(frozen=True)
class Text:
    """A text, or the URL of one.

    Example:
        >>> Text("hello").raw
        'hello'
    """

    raw: str = ""
    url: str = ""

    @classmethod
    def from_file(cls, path: str | Path) -> Text:
        """Read a UTF-8 file."""
        return cls(Path(path).read_text(encoding="utf-8"))

    @classmethod
    def read(cls, data: DataMessage) -> Text | None:
        """Return the text of a V2 `Data`, or None where it has none; an empty text is a text."""
        return cls(raw=data.text.raw, url=data.text.url) if data.HasField("text") else None

    def write(self, data: DataMessage) -> None:
        """Put it into a V2 `Data`, also when it is empty."""
        data.text.raw = self.raw
        data.text.url = self.url
