"""Sizes and counts for people."""

from __future__ import annotations


def show_files(count: int) -> str:
    """`1 file`, `3 files`."""
    return f"{count} file" if count == 1 else f"{count} files"


def show_size(size_bytes: int) -> str:
    """`3.2 GB`, as hubs show it."""
    if size_bytes == 1:
        return "1 byte"
    size, units = float(size_bytes), ["bytes", "kB", "MB", "GB", "TB", "PB", "EB"]
    while size >= 999.5 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.0f} {units[0]}" if units[0] == "bytes" or size >= 99.5 else f"{size:.1f} {units[0]}"
