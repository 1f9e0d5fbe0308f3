"""A large message on its way, in the pieces that it came in: joining them would copy it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TypeAlias

Part: TypeAlias = bytes | memoryview


class Pieces:
    """Bytes that lie in several places.

    Args:
        parts: They, in order; none is empty.
    """

    __slots__ = ("_ends", "parts")

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts
        self._ends = tuple(accumulate(map(len, parts)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, place: int) -> int:
        number = bisect_right(self._ends, place)
        return self.parts[number][place - self._ends[number]]  # counted from its end

    def behind(self, head: bytes) -> Pieces:
        """These bytes with others in front."""
        return Pieces((head, *self.parts)) if head else self

    def join(self) -> bytes:
        """A copy in one place."""
        return b"".join(self.parts)

    def cut(self, start: int, end: int) -> bytes:
        """A copy of what lies between two places; less of it where the bytes end before."""
        return b"".join(self._find(start, end))

    def _find(self, start: int, end: int) -> Iterator[Part]:
        for number in range(bisect_right(self._ends, start), len(self.parts)):
            part = self.parts[number]
            began = self._ends[number] - len(part)
            if began >= end:
                break
            yield part[max(0, start - began) : end - began]


Payload: TypeAlias = bytes | Pieces
"""A message as it travels: `Pieces` where it is large."""


def join(payload: Payload) -> bytes:
    """The message in one place."""
    return payload if isinstance(payload, bytes) else payload.join()
