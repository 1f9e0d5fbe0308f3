"""Machines by the names that clouds give them, and by their GPUs: what `compute.instance` stands for.

CPUs and memory are as the clouds publish them. Of the memory an eighth is left to the operating system, and that of
accelerators is in units of 10**9 bytes, as their makers count: a folder that names the machine it runs on must not be
told that the machine is too small.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

_MANY = 3


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A kind of accelerator."""

    name: str
    """As clients write it behind `NVIDIA-`."""
    memory_gb: int


@dataclass(frozen=True, kw_only=True)
class Instance:
    """A kind of machine."""

    name: str
    cloud: str
    cpus: int
    memory_mib: int
    gpu: Gpu | None = None
    gpus: int = 0

    @property
    def cpu_memory(self) -> str:
        """What a model may ask of it, as config.yaml has it."""
        usable_mib = self.memory_mib * 7 // 8
        return f"{usable_mib // 1024}Gi" if usable_mib % 1024 == 0 else f"{usable_mib}Mi"

    @property
    def accelerator_memory(self) -> str:
        """Of each GPU, as config.yaml has it."""
        return f"{self.gpu.memory_gb}G" if self.gpu else ""

    def __str__(self) -> str:
        cpus = f"{self.cpus} CPUs and {self.cpu_memory}"
        return f"{cpus}, {self.gpus} x {self.gpu.name} with {self.accelerator_memory}" if self.gpu else cpus


T4 = Gpu(name="T4", memory_gb=16)
V100 = Gpu(name="V100", memory_gb=16)
V100_32 = Gpu(name="V100", memory_gb=32)
L4 = Gpu(name="L4", memory_gb=24)
A10G = Gpu(name="A10G", memory_gb=24)
L40S = Gpu(name="L40S", memory_gb=48)
A100 = Gpu(name="A100", memory_gb=40)
A100_80 = Gpu(name="A100", memory_gb=80)
H100 = Gpu(name="H100", memory_gb=80)
H200 = Gpu(name="H200", memory_gb=141)

# Sizes of a family: CPUs, GiB, GPUs.
_Sizes = Mapping[str, tuple[int, float, int]]
_G_SIZES: _Sizes = {
    "xlarge": (4, 16, 1), "2xlarge": (8, 32, 1), "4xlarge": (16, 64, 1), "8xlarge": (32, 128, 1),
    "12xlarge": (48, 192, 4), "16xlarge": (64, 256, 1),
}  # fmt: skip
_LARGE_G_SIZES: _Sizes = {**_G_SIZES, "24xlarge": (96, 384, 4), "48xlarge": (192, 768, 8)}
_AWS_GPU: Mapping[str, tuple[Gpu, _Sizes]] = {
    "g4dn": (T4, {**_G_SIZES, "metal": (96, 384, 8)}),
    "g5": (A10G, _LARGE_G_SIZES),
    "g6": (L4, _LARGE_G_SIZES),
    "g6e": (L40S, {size: (cpus, gib * 2, gpus) for size, (cpus, gib, gpus) in _LARGE_G_SIZES.items()}),
    "p3": (V100, {"2xlarge": (8, 61, 1), "8xlarge": (32, 244, 4), "16xlarge": (64, 488, 8)}),
    "p3dn": (V100_32, {"24xlarge": (96, 768, 8)}),
    "p4d": (A100, {"24xlarge": (96, 1152, 8)}),
    "p4de": (A100_80, {"24xlarge": (96, 1152, 8)}),
    "p5": (H100, {"4xlarge": (16, 256, 1), "48xlarge": (192, 2048, 8)}),
    "p5e": (H200, {"48xlarge": (192, 2048, 8)}),
    "p5en": (H200, {"48xlarge": (192, 2048, 8)}),
}
_T_SIZES: _Sizes = {
    "nano": (2, 0.5, 0), "micro": (2, 1, 0), "small": (2, 2, 0), "medium": (2, 4, 0), "large": (2, 8, 0),
    "xlarge": (4, 16, 0), "2xlarge": (8, 32, 0),
}  # fmt: skip
_PLAIN_CPUS = {"large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16, "12xlarge": 48, "24xlarge": 96}
# GiB for each CPU.
_AWS_PLAIN = {"c5": 2, "c6i": 2, "m5": 4, "m6i": 4, "r5": 8, "r6i": 8}
_GCP_GPU: Mapping[str, tuple[Gpu, _Sizes]] = {
    "a2-highgpu": (A100, {"1g": (12, 85, 1), "2g": (24, 170, 2), "4g": (48, 340, 4), "8g": (96, 680, 8)}),
    "a2-megagpu": (A100, {"16g": (96, 1360, 16)}),
    "a2-ultragpu": (A100_80, {"1g": (12, 170, 1), "2g": (24, 340, 2), "4g": (48, 680, 4), "8g": (96, 1360, 8)}),
    "a3-highgpu": (H100, {"1g": (26, 234, 1), "2g": (52, 468, 2), "4g": (104, 936, 4), "8g": (208, 1872, 8)}),
    "a3-megagpu": (H100, {"8g": (208, 1872, 8)}),
    "a3-ultragpu": (H200, {"8g": (224, 2952, 8)}),
    "g2-standard": (L4, {
        "4": (4, 16, 1), "8": (8, 32, 1), "12": (12, 48, 1), "16": (16, 64, 1), "24": (24, 96, 2), "32": (32, 128, 1),
        "48": (48, 192, 4), "96": (96, 384, 8),
    }),
}  # fmt: skip
_N1, _E2, _N2 = (1, 2, 4, 8, 16, 32, 64, 96), (2, 4, 8, 16, 32), (2, 4, 8, 16, 32, 48, 64, 80)
# The CPUs there are, and GiB for each.
_GCP_PLAIN = {
    "n1-standard": (_N1, 3.75), "e2-standard": (_E2, 4), "e2-highcpu": (_E2, 1),
    "n2-standard": (_N2, 4), "n2-highmem": (_N2, 8), "n2-highcpu": (_N2, 1),
}  # fmt: skip


def _list_instances() -> Iterator[Instance]:
    for family, (gpu, sizes) in _AWS_GPU.items():
        yield from _list_sizes("aws", f"{family}.", sizes, gpu)
    for family in ("t3", "t3a"):
        yield from _list_sizes("aws", f"{family}.", _T_SIZES)
    for family, gib in _AWS_PLAIN.items():
        yield from _list_sizes("aws", f"{family}.", {size: (cpus, cpus * gib, 0) for size, cpus in _PLAIN_CPUS.items()})
    for family, (gpu, sizes) in _GCP_GPU.items():
        yield from _list_sizes("gcp", f"{family}-", sizes, gpu)
    for family, (counts, gib_each) in _GCP_PLAIN.items():
        yield from _list_sizes("gcp", f"{family}-", {str(cpus): (cpus, cpus * gib_each, 0) for cpus in counts})


def _list_sizes(cloud: str, prefix: str, sizes: _Sizes, gpu: Gpu | None = None) -> Iterator[Instance]:
    for size, (cpus, gib, gpus) in sizes.items():
        yield Instance(name=prefix + size, cloud=cloud, cpus=cpus, memory_mib=int(gib * 1024), gpu=gpu, gpus=gpus)


# c5 has sizes of its own beyond 4xlarge that are left out here, and none of 2 CPUs for each GiB.
INSTANCES: Mapping[str, Instance] = MappingProxyType({one.name: one for one in _list_instances()})
SHORT_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "cpu": "t3a.xlarge",
        "t4": "g4dn.xlarge",
        "l4": "g6.xlarge",
        "a10g": "g5.xlarge",
        "l40s": "g6e.xlarge",
        "v100": "p3.2xlarge",
        "a100": "a2-highgpu-1g",
        "h100": "a3-highgpu-1g",
    }
)
"""What people call a machine by its GPU: the smallest one that has one of it."""
NAMES = (*SHORT_NAMES, *INSTANCES)
"""What editors offer, the short names first."""


def find_instance(name: str, gpus: int = 0) -> Instance | None:
    """Return the machine of an instance type or of a GPU's name, however it is capitalised; None where there is none.

    Args:
        name: `g5.xlarge`, `a10g`, `NVIDIA-A10G`, `gpu-nvidia-a10g` or `cpu`.
        gpus: How many GPUs it has to have; 0 for as many as it has.
    """
    wanted = name.strip().lower()
    if wanted in INSTANCES:
        one = INSTANCES[wanted]
        return one if gpus in (0, one.gpus) else None
    for prefix in ("gpu-nvidia-", "nvidia-", "gpu-"):
        wanted = wanted.removeprefix(prefix)
    if wanted not in SHORT_NAMES:
        return None
    smallest = INSTANCES[SHORT_NAMES[wanted]]
    if gpus in (0, smallest.gpus):
        return smallest
    fitting = [one for one in INSTANCES.values() if one.gpu and (one.gpu, one.gpus) == (smallest.gpu, gpus)]
    return min(fitting, key=lambda one: (one.cpus, one.memory_mib), default=None)


def suggest_instances(name: str) -> list[str]:
    """Names that may have been meant: alike, or of the same family."""
    text = name.strip().lower()[:64]
    near = difflib.get_close_matches(text, NAMES, n=_MANY, cutoff=0.75)
    family = text.partition("." if "." in text else "-")[0]
    kin = [one for one in NAMES if family and one.partition("." if "." in one else "-")[0] == family]
    return list(dict.fromkeys((*near, *kin)))[:_MANY]
