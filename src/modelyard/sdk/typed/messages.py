"""Text, Image, Audio, Video, Concept, Region and Frame, and what authors may write instead of Image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from modelyard.sdk.typed.codec import DataType, WrongValue, explain_data, explain_value
from modelyard.sdk.values.base import MessageData
from modelyard.sdk.values.concept import Concept
from modelyard.sdk.values.frame import Frame
from modelyard.sdk.values.media import Audio, Image, Video
from modelyard.sdk.values.region import Region
from modelyard.sdk.values.text import Text
from modelyard.wire.messages import Data, ModelTypeField


@dataclass(frozen=True, kw_only=True)
class Single:
    """A value with a message of its own in `Data`."""

    name: str
    type_id: int
    field: str
    value_class: type[MessageData]
    python_type: object = None
    """What the method gets instead, such as Pillow's Image."""

    @property
    def plain_fields(self) -> tuple[str, ...]:
        """See `Codec.plain_fields`."""
        return (self.field, "string_value") if self.field == "text" else (self.field,)

    def describe(self, field: ModelTypeField) -> None:
        """See `Codec.describe`."""
        field.type = self.type_id

    def check(self, value: object) -> object:
        """See `Codec.check`."""
        return _make(self.value_class, value, self.name)

    def write(self, data: Data, value: object) -> None:
        """See `Codec.write`."""
        made = _make(self.value_class, value, self.name)
        getattr(data, self.field).CopyFrom(made.to_proto())

    def read(self, data: Data) -> object:
        """See `Codec.read`."""
        if data.HasField(self.field):
            found = self.value_class.from_proto(getattr(data, self.field))
        elif self.value_class is Text and (data.string_value or not data.ByteSize()):
            found = Text(data.string_value)
        else:
            raise WrongValue(explain_data(data, self.name))
        return found if self.python_type is None else self._cast(found)

    def _cast(self, found: MessageData) -> object:
        try:
            return found.cast(self.python_type)
        except Exception as error:
            raise WrongValue(f"cannot be opened as {self.name}: {error}") from error


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A value whose messages `Data` has a list of: alone one of them, in a `list[...]` all."""

    name: str
    type_id: int
    field: str
    value_class: type[MessageData]

    @property
    def plain_fields(self) -> tuple[str, ...]:
        """See `Codec.plain_fields`."""
        return (self.field,)

    def describe(self, field: ModelTypeField) -> None:
        """See `Codec.describe`."""
        field.type = self.type_id

    def check(self, value: object) -> object:
        """See `Codec.check`."""
        return _make(self.value_class, value, self.name)

    def write(self, data: Data, value: object) -> None:
        """See `Codec.write`."""
        self.write_all(data, (value,))

    def read(self, data: Data) -> object:
        """See `Codec.read`."""
        found = self.read_all(data)
        if len(found) != 1:
            raise WrongValue(f"has {len(found)} {self.field}; one {self.name} is expected")
        return found[0]

    def write_all(self, data: Data, values: Iterable[object]) -> None:
        """Put all of a list into a `Data`."""
        getattr(data, self.field).extend([_make(self.value_class, one, self.name).to_proto() for one in values])

    def read_all(self, data: Data) -> list[object]:
        """All that a `Data` has."""
        found = getattr(data, self.field)
        if not found and data.ByteSize():
            raise WrongValue(explain_data(data, self.name))
        return [self.value_class.from_proto(one) for one in found]


def _make(value_class: type[MessageData], value: object, name: str) -> Any:
    try:
        return value_class.from_value(value)
    except TypeError:
        raise WrongValue(explain_value(value, name)) from None


TEXT = Single(name="Text", type_id=DataType.TEXT, field="text", value_class=Text)
IMAGE = Single(name="Image", type_id=DataType.IMAGE, field="image", value_class=Image)
AUDIO = Single(name="Audio", type_id=DataType.AUDIO, field="audio", value_class=Audio)
VIDEO = Single(name="Video", type_id=DataType.VIDEO, field="video", value_class=Video)
CONCEPT = Listed(name="Concept", type_id=DataType.CONCEPT, field="concepts", value_class=Concept)
REGION = Listed(name="Region", type_id=DataType.REGION, field="regions", value_class=Region)
FRAME = Listed(name="Frame", type_id=DataType.FRAME, field="frames", value_class=Frame)
