"""Who may run the author's code: as many at once as the config says."""

from __future__ import annotations

from queue import Empty, SimpleQueue


class Turns:
    """A semaphore. That of `threading` is written in Python, and takes as long as a small model does; this is a queue
    of C, with something in it for each turn that is free.

    Args:
        count: How many are free at first.
    """

    __slots__ = ("_free", "take")

    def __init__(self, count: int = 0) -> None:
        self._free: SimpleQueue[None] = SimpleQueue()
        self.take = self._free.get
        """Wait for a turn, and have it."""
        self.add(count)

    def give_back(self) -> None:
        """The turn is over."""
        self._free.put(None)

    def add(self, count: int) -> None:
        """So many more, or so many given back."""
        for _ in range(count):
            self._free.put(None)

    def take_within(self, timeout_s: float) -> bool:
        """Wait so long at most; False where none was free."""
        try:
            self._free.get(timeout=timeout_s)
        except Empty:
            return False
        return True
