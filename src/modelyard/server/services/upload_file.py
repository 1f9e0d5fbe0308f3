"""The archive of one upload as it arrives: to disk, part by part, never held whole."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import BinaryIO

from modelyard.errors import InternalError, InvalidRequest, ModelyardError, TooLarge, UploadIncomplete
from modelyard.server.threads import in_thread

DISK_RESERVE = 0.05
"""This share of the disk stays free."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
ROOM_HINT = (
    "delete versions that are not needed any more and run `modelyard depot gc`, or give the server a larger disk"
)


class UploadFile:
    """A file that grows by numbered parts. Writing happens in threads, so that a slow disk delays nobody else."""

    def __init__(self, path: Path, total_bytes: int) -> None:
        self.path = path
        self.total_bytes = total_bytes
        self.received_bytes = 0
        self._next_part = 1
        self._file: BinaryIO = path.open("xb")

    @property
    def percent(self) -> int:
        """How much has arrived, 0 to 100."""
        return 100 * self.received_bytes // self.total_bytes if self.total_bytes else 100

    async def append(self, part_number: int, data: bytes) -> None:
        """Write the next part.

        Raises:
            InvalidRequest: it is not the next one.
            UploadIncomplete: more bytes came than were announced.
        """
        if part_number != self._next_part:
            raise InvalidRequest(
                f"content_part.part_number is {part_number} instead of {self._next_part}: parts come in order, from 1"
            )
        if self.received_bytes + len(data) > self.total_bytes:
            raise UploadIncomplete(
                f"more bytes came than upload_config.total_size announced ({self.total_bytes})",
                hint="upload again",
            )
        await in_thread(self._file.write, data)
        self.received_bytes += len(data)
        self._next_part += 1

    async def finish(self) -> None:
        """All parts have come: make them durable. Raises UploadIncomplete where bytes are missing."""
        if self.received_bytes != self.total_bytes:
            raise UploadIncomplete(
                f"the upload ended after {self.received_bytes} of {self.total_bytes} bytes", hint="upload again"
            )
        await in_thread(self._sync)

    def discard(self) -> None:
        """Close the file and remove it. Idempotent."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())


def check_room(folder: Path, size_bytes: int, *, limit_bytes: int) -> None:
    """Is the upload allowed, and is there room for it? Raises InvalidRequest or TooLarge."""
    if size_bytes <= 0:
        raise InvalidRequest(f"upload_config.total_size is {size_bytes}: say how many bytes the archive has")
    if size_bytes > limit_bytes:
        raise TooLarge(f"the archive has {size_bytes} bytes; at most {limit_bytes} are accepted")
    # The archive, what it unpacks to, and the depot's copy of that on other file systems.
    check_disk(folder, 2 * size_bytes)


def check_disk(folder: Path, size_bytes: int) -> None:
    """Is there room on the folder's disk for so many bytes, beside the reserve? Raises TooLarge."""
    disk = shutil.disk_usage(folder)
    if disk.free - size_bytes < disk.total * DISK_RESERVE:
        raise TooLarge(
            f"the server's disk has {disk.free} bytes free, of which {int(disk.total * DISK_RESERVE)} stay so: "
            f"too little for {size_bytes} more",
            hint=ROOM_HINT,
        )


def explain_fault(error: OSError, folder: Path) -> ModelyardError:
    """The error of a write that failed: mostly, the disk is full."""
    if error.errno in FULL:
        free = shutil.disk_usage(folder).free
        return TooLarge(f"the server's disk is full: {error.strerror} ({free} bytes are free)", hint=ROOM_HINT)
    return InternalError(f"the server could not take the upload: {error.strerror}", hint="its log has more")
