"""numpy's arrays: their bytes as they lie in memory, their shape, and the name of their numbers' type."""

from __future__ import annotations

from dataclasses import dataclass

from modelyard.sdk.arrays import read_array, to_array
from modelyard.sdk.typed.codec import DataType, WrongValue, explain_data, explain_value
from modelyard.wire.messages import Data, ModelTypeField


@dataclass(frozen=True, kw_only=True)
class Array:
    """A numpy array of numbers."""

    name: str = "numpy.ndarray"
    plain_fields: tuple[str, ...] = ("ndarray",)

    def describe(self, field: ModelTypeField) -> None:
        """See `Codec.describe`."""
        field.type = DataType.NDARRAY

    def check(self, value: object) -> object:
        """See `Codec.check`."""
        try:
            array = to_array(value)
        except ValueError:
            raise WrongValue(explain_value(value, self.name)) from None
        if array.dtype.kind not in "biufc":
            raise WrongValue(f"is an array of {array.dtype}; an array of numbers is expected")
        return array

    def write(self, data: Data, value: object) -> None:
        """See `Codec.write`."""
        array = to_array(self.check(value))
        data.ndarray.buffer = array.tobytes()
        data.ndarray.shape.extend(array.shape)
        data.ndarray.dtype = str(array.dtype)

    def read(self, data: Data) -> object:
        """See `Codec.read`."""
        if not data.HasField("ndarray") or not data.ndarray.dtype:
            raise WrongValue(explain_data(data, self.name))
        found = data.ndarray
        try:
            return read_array(found.buffer, found.dtype, found.shape)
        except (TypeError, ValueError) as error:
            raise WrongValue(f"is no array of {found.dtype[:40]} with this shape: {error}") from None
