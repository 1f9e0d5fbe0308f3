"""What the first bytes of a file say it is."""

from __future__ import annotations

_STARTS: tuple[tuple[bytes, int, str, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", 0, "image", "png"),
    (b"\xff\xd8\xff", 0, "image", "jpg"),
    (b"GIF8", 0, "image", "gif"),
    (b"BM", 0, "image", "bmp"),
    (b"II*\x00", 0, "image", "tiff"),
    (b"MM\x00*", 0, "image", "tiff"),
    (b"WEBP", 8, "image", "webp"),
    (b"ftypavif", 4, "image", "avif"),
    (b"ftypheic", 4, "image", "heic"),
    (b"WAVE", 8, "audio", "wav"),
    (b"fLaC", 0, "audio", "flac"),
    (b"OggS", 0, "audio", "ogg"),
    (b"ID3", 0, "audio", "mp3"),
    (b"\xff\xfb", 0, "audio", "mp3"),
    (b"\xff\xf3", 0, "audio", "mp3"),
    (b"\xff\xf2", 0, "audio", "mp3"),
    (b"\xff\xf1", 0, "audio", "aac"),
    (b"ftypM4A", 4, "audio", "m4a"),
    (b"AVI ", 8, "video", "avi"),
    (b"\x1aE\xdf\xa3", 0, "video", "webm"),
    (b"ftyp", 4, "video", "mp4"),
    (b"\x00\x00\x01\xba", 0, "video", "mpg"),
)


def recognise(content: bytes) -> tuple[str, str]:
    """What the bytes are, (`image`, `png`); two empty texts where they are none of the common formats."""
    for start, offset, kind, ending in _STARTS:
        if content[offset : offset + len(start)] == start:
            return kind, ending
    return "", ""


def explain_media(kind: str, content: bytes) -> str:
    """What is wrong with bytes that should be an image, a sound or a video; "" where nothing is. Empty bytes belong to
    a URL and are not looked at."""
    if not content:
        return ""
    found, ending = recognise(content)
    if found == kind or (found, kind) == ("video", "audio") or (found, ending, kind) == ("image", "gif", "video"):
        return ""
    if found:
        return f"the bytes are {ending}, which is {found} and not {kind}"
    return f"the {len(content)} bytes begin like no {kind} format ({content[:8]!r})"
