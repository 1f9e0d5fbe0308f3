"""`build_info.platform` beside this machine: an environment is made for the machine that runs it, and for no other."""

from __future__ import annotations

import platform
from collections.abc import Sequence

_NAMES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def name_platform() -> str:
    """This machine as container tools write it: `linux/amd64`."""
    machine = platform.machine().lower()
    return f"{platform.system().lower()}/{_NAMES.get(machine, machine)}"


def explain_platforms(wanted: Sequence[str], here: str = "") -> str:
    """What to say where a folder is made for other machines than this one; "" where it fits."""
    here = here or name_platform()
    if not wanted or here in ["/".join(one.lower().split("/")[:2]) for one in wanted]:
        return ""
    return (
        f"build_info.platform: {', '.join(wanted)} is not this machine, which is {here}; an environment is made for "
        f"the machine that runs it: write {here} or leave it out, or upload to a server on such a machine"
    )
