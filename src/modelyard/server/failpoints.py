"""Places at which a test may end this process, so that crashes are tested where they hurt. Off unless asked for.

`MODELYARD_FAILPOINT=upload.after_fsync=kill` ends the process by SIGKILL when that place is reached for the first time.
"""

from __future__ import annotations

import os
import signal

VARIABLE = "MODELYARD_FAILPOINT"
NAMES = frozenset(
    {
        "upload.first_message",
        "upload.part_written",
        "upload.after_fsync",
        "upload.after_extract",
        "upload.after_adopt",
        "upload.before_ack",
        "upload.after_ack",
        "delta.piece_written",
        "delta.file_whole",
        "delta.row_added",
        "delta.adopted",
        "gc.marked",
        "gc.removed",
        "build.started",
        "build.fetched",
        "build.locked",
        "build.installed",
        "build.before_done",
        "build.done",
        "rollout.loaded",
        "rollout.answered",
        "rollout.switched",
        "traffic.wanted",
        "traffic.ready",
        "traffic.settled",
    }
)


def hit(name: str) -> None:
    """Die here, if the environment says so."""
    if os.environ.get(VARIABLE) == f"{name}=kill":
        os.kill(os.getpid(), signal.SIGKILL)
