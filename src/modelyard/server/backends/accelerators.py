"""The contract of a detector: what accelerators this machine has. Every adapter passes
`tests/contract/test_accelerators.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Accelerator:
    """One device."""

    device: str
    """What `CUDA_VISIBLE_DEVICES` calls it: the same for as long as the machine runs."""
    name: str
    """As its maker calls it: `NVIDIA A10G`."""
    memory_bytes: int
    """0 where it does not say."""


class AcceleratorDetector(Protocol):
    """Looks for accelerators."""

    def list(self) -> Sequence[Accelerator]:
        """The devices that models may have, in a fixed order; none where there is no driver, or it does not answer.
        Blocking, and never longer than a few seconds; raises nothing."""
        ...
