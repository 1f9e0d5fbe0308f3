"""Which replica has which accelerator. A device is one replica's at a time, and the others do not see it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from fnmatch import fnmatchcase

from modelyard.config.quantities import parse_memory_bytes
from modelyard.errors import BuildFailed
from modelyard.server.backends.accelerators import Accelerator, AcceleratorDetector
from modelyard.server.records import Version
from modelyard.wire.messages import ComputeInfo, ModelVersion

OPTIONAL_HINT = "start the server with --accelerators optional to run it on the CPU, or set num_accelerators: 0"


class AcceleratorPool:
    """The machine's devices, and who has them.

    Args:
        detector: Finds the devices; asked once, at the start.
        is_optional: Does a model that asks for more than the machine has run on the CPU?
    """

    def __init__(self, detector: AcceleratorDetector, *, is_optional: bool) -> None:
        self._detector = detector
        self._is_optional = is_optional
        self._devices: Sequence[Accelerator] = ()
        self._holders: dict[str, str] = {}
        """Who has which device."""

    async def open(self) -> Sequence[Accelerator]:
        """Look for devices; what there is."""
        self._devices = await asyncio.to_thread(self._detector.list)
        return self._devices

    @property
    def free(self) -> int:
        """How many nobody has."""
        return len(self._devices) - len(self._holders)

    def check(self, version: Version) -> str:
        """Can the machine give the version what it asks for? A line for its author where it cannot, or gives something
        else; empty where all is well. Raises BuildFailed where it can never run here."""
        compute = _read_compute(version)
        asked, has = compute.num_accelerators, len(self._devices)
        if asked > has:
            there = f"{has}" if has else "none"
            what = f"num_accelerators: the model asks for {asked}, and this machine has {there}"
            if not self._is_optional:
                raise BuildFailed(what, hint=OPTIONAL_HINT)
            return f"{what}: it runs on the CPU"
        if not asked:
            return ""
        return self._describe_differences(compute)

    def count_needed(self, version: Version) -> int:
        """How many devices a replica of the version gets: what it asks for, or none where the machine has fewer."""
        asked: int = _read_compute(version).num_accelerators
        return asked if asked <= len(self._devices) else 0

    def take(self, holder: str, count: int) -> tuple[str, ...] | None:
        """Devices for a replica, to be given back; None where too few are free."""
        free = [one.device for one in self._devices if one.device not in self._holders]
        if len(free) < count:
            return None
        for device in free[:count]:
            self._holders[device] = holder
        return tuple(free[:count])

    def give_back(self, holder: str) -> None:
        """The replica is gone. Idempotent."""
        for device in [device for device, one in self._holders.items() if one == holder]:
            del self._holders[device]

    def _describe_differences(self, compute: ComputeInfo) -> str:
        """What the config says of its devices is what its author had: another will often do, and is said."""
        patterns = [one.upper().replace(" ", "-") for one in compute.accelerator_type]
        names = sorted({one.name for one in self._devices})
        if patterns and not any(fnmatchcase(_plain(name), one) for name in names for one in patterns):
            return f"accelerator_type: {', '.join(compute.accelerator_type)}; this machine has {', '.join(names)}"
        least = parse_memory_bytes(compute.accelerator_memory) if compute.accelerator_memory else 0
        most = max(one.memory_bytes for one in self._devices)
        if most and least > most:
            return f"accelerator_memory: {compute.accelerator_memory}; the largest here has {most / 2**30:.1f}Gi"
        return ""


def _plain(name: str) -> str:
    """`NVIDIA A10G` as folders write it: `NVIDIA-A10G`."""
    return name.upper().replace(" ", "-")


def _read_compute(version: Version) -> ComputeInfo:
    return ModelVersion.FromString(version.spec).inference_compute_info
