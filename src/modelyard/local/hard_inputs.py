"""Inputs that production sends sooner or later: nothing, too much, something else, something broken."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence

from modelyard.client.inputs import make_media_input, make_text_input
from modelyard.parts.sample_inputs import SAMPLE_FILES, SAMPLES, make_sample
from modelyard.wire.messages import Data, Input

TEXT_CHARS = 1_000_000
IMAGE_SIDE = 6000
"""36 megapixels: what a good camera makes, and twice the side that few models were tried with."""
AUDIO_S = 600
VIDEO_PADDING_BYTES = 20_000_000
ODD_TEXTS = ("\u0000", "🙂" * 50, "\u202eright to left", "e" + "\u0301" * 100, "\n" * 1000, "a" * 10_000, "' OR 1=1 --")


def kinds_of(inputs: Sequence[Input]) -> list[str]:
    """Which kinds of data an ordinary request has."""
    return [kind for kind in SAMPLE_FILES if any(_has_kind(one.data, kind) for one in inputs)]


def _has_kind(data: Data, kind: str) -> bool:
    """Directly, or in an argument of a typed method."""
    inside = [part.data for part in data.parts]
    return any(one.HasField(kind) or (kind == "text" and one.string_value) for one in (data, *inside))


def make_empty(kinds: Sequence[str]) -> list[Input]:
    """An input without anything, and one of each kind that has no content."""
    found = [Input()]
    for kind in kinds:
        one = Input()
        getattr(one.data, kind).SetInParent()
        found.append(one)
    return found


def make_huge(kind: str) -> Input:
    """Far larger than what the model was tried with, and still right."""
    if kind == "text":
        return make_text_input("The quick brown fox jumps over the lazy dog. " * (TEXT_CHARS // 45))
    if kind == "image":
        return make_media_input("image", _make_large_image())
    if kind == "audio":
        return make_media_input("audio", _make_long_audio())
    video = (SAMPLES / SAMPLE_FILES["video"]).read_bytes()
    padding = struct.pack(">I4s", VIDEO_PADDING_BYTES, b"free") + bytes(VIDEO_PADDING_BYTES - 8)
    return make_media_input("video", video + padding)


def make_wrong(kinds: Sequence[str]) -> list[Input]:
    """One input of each kind that the model does not take."""
    return [make_sample(kind) for kind in SAMPLE_FILES if kind not in kinds]


def make_broken(kind: str) -> list[Input]:
    """Right by its kind, and damaged: cut off, noise, text of odd characters."""
    if kind == "text":
        return [make_text_input(text) for text in ODD_TEXTS]
    content = (SAMPLES / SAMPLE_FILES[kind]).read_bytes()
    noise = bytes((7 * number * number + 13) % 256 for number in range(4000))
    return [make_media_input(kind, damaged) for damaged in (content[: len(content) // 2], noise, content[:40] + noise)]


def make_other(given: Input, number: int) -> Input:
    """An input much like a given one, and another one: its text has a number."""
    other = Input()
    other.CopyFrom(given)
    argument = next((part.data for part in other.data.parts if part.data.string_value), None)
    if other.data.HasField("text"):
        other.data.text.raw += f" {number}"
    elif argument is not None:
        argument.string_value += f" {number}"
    return other


def is_empty(data: Data) -> bool:
    """Has it nothing at all?"""
    return not data.ListFields()


def _make_large_image() -> bytes:
    # Pillow is needed by this alone, and slow to import.
    from PIL import Image

    with Image.open(SAMPLES / SAMPLE_FILES["image"]) as sample:
        large = sample.convert("RGB").resize((IMAGE_SIDE, IMAGE_SIDE))
    written = io.BytesIO()
    large.save(written, "JPEG", quality=80)
    return written.getvalue()


def _make_long_audio() -> bytes:
    """The sample's tone, over and over, as 16 kHz mono WAV."""
    rate = 16_000
    period = b"".join(struct.pack("<h", round(8000 * (number % 40 - 20) / 20)) for number in range(40))
    samples = period * (rate * AUDIO_S // 40)
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", 36 + len(samples), b"WAVE", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16, b"data", len(samples)),
    )
    return header + samples
