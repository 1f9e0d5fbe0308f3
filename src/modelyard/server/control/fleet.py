"""All replicas that run: as many keepers a version as are wanted, within the memory that there is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from modelyard.server.control.keeper import SLOTS_PER_THREAD, Keeper, Means, count_slots, read_asked_bytes
from modelyard.server.control.memory import MachineMemory, Memory, Room
from modelyard.server.control.verdicts import WAITS_FOR_DEVICES
from modelyard.server.records import LogType, Version, VersionState

log = logging.getLogger(__name__)

_ORDER = tuple(Room)
"""From the one that stops nothing to the one that helps nobody."""
_DOES = {
    Room.BESIDE: "it starts",
    Room.WITHOUT_SPARES: "versions that only stayed warm are stopped first",
    Room.INSTEAD: "the version before is stopped first, and requests wait until this one answers",
    Room.NONE: "it waits for them",
}


class Fleet:
    """Starts and stops keepers.

    Args:
        means: What keepers work with.
        memory: The machine's.
        on_change: Called when a replica has become ready, or a version's last one is gone.
        on_gone: Awaited with the id of a version of which a keeper has stopped.
    """

    def __init__(
        self,
        means: Means,
        memory: MachineMemory,
        *,
        on_change: Callable[[], None],
        on_gone: Callable[[str], Awaitable[None]],
    ) -> None:
        self._means = means
        self._memory = memory
        self._on_change = on_change
        self._on_gone = on_gone
        self._keepers: dict[str, list[Keeper]] = {}
        self._stopping: dict[asyncio.Task[None], str] = {}
        """Who ends which version."""
        self._makes_room: dict[str, str] = {}
        """A new version, and the one that may not run until it is ready."""
        self._waits_for: dict[str, frozenset[str]] = {}
        """A version, and those that have to be gone before it starts."""
        self._told: dict[str, Room] = {}
        """What was last said about a version's memory."""
        self._devices_told: dict[str, Room] = {}
        """The same of its accelerators."""
        self._waits: dict[str, str] = {}
        """Why a version does not start yet."""

    @property
    def versions(self) -> frozenset[str]:
        """Ids of versions that run, load or are on their way out."""
        return frozenset(self._keepers) | frozenset(self._stopping.values())

    def count(self, version_id: str) -> int:
        """How many replicas are there or being started, those on their way out left out."""
        return len(self._keepers.get(version_id, ()))

    def threads_of(self, version_id: str) -> int:
        """How many requests one of its replicas works on at once; 0 where none runs."""
        replicas = (one.replica for one in self._keepers.get(version_id, ()))
        return next((count_slots(one.spec) // SLOTS_PER_THREAD for one in replicas if one is not None), 0)

    def ready_at(self, version_id: str) -> float | None:
        """When the version's first replica that still runs became ready, `time.monotonic()`; None where none is."""
        return min((one.ready_at for one in self._keepers.get(version_id, ()) if one.ready_at), default=None)

    def stands_aside(self, version_id: str) -> bool:
        """Has it stopped to make room for a version that still loads?"""
        return version_id in self._makes_room.values()

    def has_displaced(self, version_id: str) -> bool:
        """Does another version stand aside for it?"""
        return version_id in self._makes_room

    def give_way(self, version_id: str) -> None:
        """It is ready, or has failed: those who made room for it may run again."""
        self._makes_room.pop(version_id, None)
        self._waits_for.pop(version_id, None)
        self._told.pop(version_id, None)
        self._devices_told.pop(version_id, None)
        self._waits.pop(version_id, None)

    def why_waits(self, version_id: str) -> str:
        """What a version waits for of which nothing runs, for people; empty where it starts or runs."""
        return "" if version_id in self._keepers else self._waits.get(version_id, "")

    def shrink(self, version_id: str, replicas: int) -> None:
        """Stop what is too many. Unless none is to be left, a replica that holds requests goes on."""
        keepers = self._keepers.get(version_id, [])
        surplus = sorted(keepers, key=lambda one: (one.is_ready, self._load_of(one)))[: len(keepers) - replicas]
        for one in surplus:
            if replicas == 0 or self._load_of(one) == 0:  # an open stream is load, too
                keepers.remove(one)
                self._retire(one)
        if not keepers:
            self._keepers.pop(version_id, None)

    def rest(self, version_id: str) -> bool:
        """Stop all of a version, unless somebody asks it; did it? From here on its replicas get nothing more."""
        if not self._means.router.demand(version_id).is_none:
            return False
        self.shrink(version_id, 0)
        return True

    def grow(self, version: Version, replicas: int, *, before: str, spares: Sequence[str]) -> Sequence[str]:
        """Start what is missing, where there is memory.

        Args:
            version: What to start.
            replicas: How many are wanted.
            before: The version whose place it is to take; empty where it is none's.
            spares: Versions that nobody asks any more, and that may stop.

        Returns:
            Versions that have to stop before it can start: spares, or the one before.
        """
        version_id = version.version_id
        while self.count(version_id) < replicas:
            if self._waits_for.get(version_id, frozenset()) & {*self._stopping.values()}:
                return ()
            room = max(
                self._look(version, before, spares), self._look_for_devices(version, before, spares), key=_ORDER.index
            )
            needs = self._means.accelerators.count_needed(version)
            if room is Room.NONE and self._free_devices() < needs:  # others work with them, and are not stopped
                self._waits[version_id] = f"{WAITS_FOR_DEVICES}: it asks for {needs}, {self._free_devices()} are free"
                return ()
            self._waits.pop(version_id, None)
            if room in (Room.WITHOUT_SPARES, Room.INSTEAD):
                if room is Room.INSTEAD:
                    self._makes_room[version_id] = before
                leaving = [*spares, before] if room is Room.INSTEAD else list(spares)
                self._waits_for[version_id] = frozenset(leaving)
                return leaving
            self._keepers.setdefault(version_id, []).append(Keeper(version, self._means, on_change=self._on_change))
        return ()

    async def close(self) -> None:
        """Stop everything, at once."""
        keepers = [one for several in self._keepers.values() for one in several]
        self._keepers.clear()
        await asyncio.gather(*(one.stop() for one in keepers), *self._stopping)

    def hold_of(self, version_id: str) -> int:
        """The memory that a version's replicas hold."""
        replicas = [one.replica for one in self._keepers.get(version_id, ())]
        return sum(self._memory.held_bytes(one.pid) for one in replicas if one is not None)

    def _look_for_devices(self, version: Version, before: str, spares: Sequence[str]) -> Room:
        """The same for accelerators: a machine with one has room for one version at a time."""
        pool = self._means.accelerators
        seen = Memory(
            asked=pool.count_needed(version),
            free=self._free_devices(),
            spares=sum(self._count_devices(one) for one in spares),
            before=self._count_devices(before),
        )
        if self._devices_told.get(version.version_id, Room.BESIDE) is not seen.room:
            self._devices_told[version.version_id] = seen.room
            self._write(version, f"Accelerators: it asks for {seen.asked}, {seen.free} are free: {_DOES[seen.room]}")
        return seen.room

    def _free_devices(self) -> int:
        """What nobody has, and nobody that is being started is about to take."""
        pool = self._means.accelerators
        starting = (one for several in self._keepers.values() for one in several if not one.has_devices)
        return max(0, pool.free - sum(pool.count_needed(one.version) for one in starting))

    def _count_devices(self, version_id: str) -> int:
        replicas = [one.replica for one in self._keepers.get(version_id, ())]
        return sum(len(one.spec.accelerators or ()) for one in replicas if one is not None)

    def _look(self, version: Version, before: str, spares: Sequence[str]) -> Room:
        """Which room there is, told to the version's log where that is news."""
        asked = read_asked_bytes(version)
        if not asked:
            return Room.BESIDE
        free = self._memory.free_bytes() - self._list_promised()
        seen = Memory(asked=asked, free=max(0, free))
        if seen.room is not Room.BESIDE:
            seen = Memory(
                asked=asked,
                free=seen.free,
                spares=sum(self.hold_of(one) for one in spares),
                before=self.hold_of(before) if before else 0,
            )
        self._tell(version, seen)
        return seen.room

    def _list_promised(self) -> int:
        """What replicas that still load ask for and do not hold yet."""
        promised = 0
        for one in (one for several in self._keepers.values() for one in several if not one.is_ready):
            held = self._memory.held_bytes(one.replica.pid) if one.replica else 0
            promised += max(0, one.asked_bytes - held)
        return promised

    def _tell(self, version: Version, seen: Memory) -> None:
        if self._told.get(version.version_id, Room.BESIDE) is seen.room:
            return
        self._told[version.version_id] = seen.room
        does = "it starts all the same, and may be ended" if seen.room is Room.NONE else _DOES[seen.room]
        self._write(version, f"Memory: {seen.describe()}: {does}")
        log.info("memory.%s version=%s asked=%d free=%d", seen.room.value, version.version_id, seen.asked, seen.free)

    def _write(self, version: Version, line: str) -> None:
        log_type = LogType.RUN if version.state is VersionState.READY else LogType.BUILD
        self._means.write_line(version.version_id, log_type, line)

    def _load_of(self, keeper: Keeper) -> int:
        return self._means.router.in_flight(keeper.replica.spec.replica_id) if keeper.replica else 0

    def _retire(self, keeper: Keeper) -> None:
        """Out of the router in the same step in which it was seen to be free: nothing may begin on it in between."""
        if keeper.replica is not None:
            self._means.router.remove(keeper.replica.spec.replica_id)
        task = asyncio.create_task(self._stop_keeper(keeper))
        self._stopping[task] = keeper.version.version_id
        task.add_done_callback(self._stopping.pop)

    async def _stop_keeper(self, keeper: Keeper) -> None:
        await keeper.stop()
        await self._on_gone(keeper.version.version_id)
        self._on_change()
