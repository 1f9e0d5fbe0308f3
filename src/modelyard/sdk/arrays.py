"""numpy's arrays. numpy is the author's own requirement: told by its name, and imported where it is used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def is_array_class(found: object) -> bool:
    """Is it numpy's `ndarray`?"""
    return isinstance(found, type) and (found.__module__, found.__qualname__) == ("numpy", "ndarray")


def is_array(value: object) -> bool:
    """Is it an array of numpy's?"""
    return any(is_array_class(one) for one in type(value).__mro__)


def to_array(value: object) -> Any:
    """A numpy array of it. Raises ValueError where it is none."""
    import numpy as np  # type: ignore[import-not-found,unused-ignore]  # the author's own requirement

    return np.asarray(value)


def read_array(content: bytes, dtype: str, shape: Sequence[int]) -> Any:
    """The array whose numbers lie like this in memory. Raises TypeError or ValueError where they cannot."""
    import numpy as np  # type: ignore[import-not-found,unused-ignore]  # the author's own requirement

    return np.frombuffer(content, dtype=np.dtype(dtype)).reshape(tuple(shape))
