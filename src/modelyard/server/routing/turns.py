"""A bounded queue that is fair between those who fill it: each lane in turn, and none can take the room of the others.

Lanes are served round robin, one of each, oldest first. Where the queue is full, a newcomer is let in at the cost of
the newest of the longest lane, as long as that lane stays the longest of the two: a flood gives way, and nothing else
does. So any lane may fill the whole queue while it is alone, and no lane can keep another out.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """Things that wait, by lane. Every thing has a cost, in units of the bound.

    Args:
        size: What all that waits may cost together.
    """

    def __init__(self, *, size: int) -> None:
        self.size = size
        self.cost = 0
        """Of all that waits."""
        self.waiting = 0
        """How much waits."""
        self._last_number = 0
        self._lanes: OrderedDict[str, _Lane[T]] = OrderedDict()
        """The first is served next; none is empty."""

    def __len__(self) -> int:
        return self.waiting

    @property
    def only(self) -> str | None:
        """The lane that all wait in; None where there are several, or none."""
        return next(iter(self._lanes)) if len(self._lanes) == 1 else None

    def count(self, name: str) -> int:
        """How many wait in a lane."""
        lane = self._lanes.get(name)
        return len(lane.things) if lane else 0

    def count_ahead(self, name: str, *, is_least: bool) -> int:
        """How many are served before one that now joins a lane: the most, or the least that it can be."""
        own = self.count(name)
        turns = own if is_least else own + 1
        return own + sum(min(len(lane.things), turns) for other, lane in self._lanes.items() if other != name)

    def add(self, name: str, thing: T, cost: int) -> int:
        """Let a thing wait at the end of a lane, whether or not there is room; its number, for `remove`."""
        self._last_number += 1
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = _Lane()
        lane.things[self._last_number] = (thing, cost)
        lane.cost += cost
        self.cost += cost
        self.waiting += 1
        return self._last_number

    def make_room(self, name: str, cost: int) -> list[tuple[str, T]] | None:
        """What has to go so that a thing of this cost fits into a lane, and its own lane; taken out. None where it may
        not come in."""
        excess = self.cost + cost - self.size
        if excess <= 0:
            return []
        longest = max(self._lanes, key=lambda one: self._lanes[one].cost)
        if longest == name:
            return None
        own = self._lanes[name].cost if name in self._lanes else 0
        return self._cut(longest, excess, keep=own + cost)

    def remove(self, name: str, number: int) -> None:
        """Take a thing out, where it is still there."""
        lane = self._lanes.get(name)
        if lane is not None and number in lane.things:
            self._take(name, lane, number)

    def take(self, without: dict[str, int] | None = None) -> tuple[str, T] | None:
        """The lane whose turn it is, of those not in `without`, and its next thing. None where there is none."""
        name = next((one for one in self._lanes if without is None or one not in without), None)
        if name is None:
            return None
        self._lanes.move_to_end(name)
        lane = self._lanes[name]
        return name, self._take(name, lane, next(iter(lane.things)))

    def take_all(self) -> list[T]:
        """Everything, in no order."""
        things = [thing for lane in self._lanes.values() for thing, _ in lane.things.values()]
        self._lanes.clear()
        self.cost = self.waiting = 0
        return things

    def _cut(self, name: str, excess: int, *, keep: int) -> list[tuple[str, T]] | None:
        """The newest of a lane, out of it, at a cost of `excess` or more; None where less than `keep` would be left."""
        lane = self._lanes[name]
        numbers: list[int] = []
        for number in reversed(lane.things):
            if excess <= 0:
                break
            numbers.append(number)
            excess -= lane.things[number][1]
        left = lane.cost - sum(lane.things[number][1] for number in numbers)
        if excess > 0 or left < keep:
            return None
        return [(name, self._take(name, lane, number)) for number in numbers]

    def _take(self, name: str, lane: _Lane[T], number: int) -> T:
        thing, cost = lane.things.pop(number)
        lane.cost -= cost
        self.cost -= cost
        self.waiting -= 1
        if not lane.things:
            del self._lanes[name]
        return thing


class _Lane(Generic[T]):
    __slots__ = ("cost", "things")

    def __init__(self) -> None:
        self.things: OrderedDict[int, tuple[T, int]] = OrderedDict()
        self.cost = 0
