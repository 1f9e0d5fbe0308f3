"""Text, which may lie behind a URL, and JSON documents."""

from __future__ import annotations

import json
from typing import Any

from modelyard.sdk.values.base import MessageData
from modelyard.wire.messages import Text as TextMessage


class Text(MessageData):
    """A text, or the URL of one.

    Example:
        >>> Text("hello") == "hello"
        True
    """

    def __init__(self, text: str | None, url: str | None = None) -> None:
        self.text = text
        self.url = url

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Text):
            return (self.text, self.url) == (other.text, other.url)
        return isinstance(other, str) and self.text == other

    def __hash__(self) -> int:
        return hash(self.text)

    def __bool__(self) -> bool:
        return bool(self.text) or bool(self.url)

    def __str__(self) -> str:
        return self.text or ""

    def __repr__(self) -> str:
        return f"Text(text={self.text!r}, url={self.url!r})"

    def to_proto(self) -> TextMessage:
        """The V2 message."""
        return TextMessage(raw=self.text or "", url=self.url or "")

    @classmethod
    def from_proto(cls, proto: Any) -> Text:
        """The value of a V2 message."""
        return cls(proto.raw, proto.url or None)

    @classmethod
    def from_value(cls, value: Any) -> Text:
        """Of a Text, a str, or a dict with `text` and `url`."""
        if isinstance(value, str):
            return cls(value)
        if isinstance(value, dict):
            return cls(value.get("text"), value.get("url"))
        return super().from_value(value)

    def cast(self, python_type: object) -> object:
        """As Text or str."""
        return str(self) if python_type is str else super().cast(python_type)


class JSON:
    """A JSON document as a type of an argument. The method gets the dict or the list itself.

    Example:
        >>> JSON.from_json('{"a": 1}').value
        {'a': 1}
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return bool(self.value == (other.value if isinstance(other, JSON) else other))

    __hash__ = None  # type: ignore[assignment]  # what it holds may change

    def __bool__(self) -> bool:
        return bool(self.value)

    def __repr__(self) -> str:
        return f"JSON({self.value})"

    def to_json(self) -> str:
        """As JSON text."""
        return json.dumps(self.value)

    @classmethod
    def from_json(cls, json_str: str) -> JSON:
        """Of JSON text. Raises ValueError where it is none."""
        return cls(json.loads(json_str))

    @classmethod
    def from_value(cls, value: object) -> JSON:
        """Of any value."""
        return cls(value)

    def cast(self, python_type: type) -> object:
        """The value, which has to be of this type. Raises TypeError where it is not."""
        if not isinstance(self.value, python_type):
            raise TypeError(f"the JSON holds {type(self.value).__name__}, not {python_type.__name__}")
        return self.value
