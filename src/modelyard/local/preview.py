"""What an answer looks like, as files: boxes and masks drawn on the input, media as they came."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from modelyard.local.media import recognise
from modelyard.wire.messages import Input, MultiOutputResponse, Output, Region

COLOURS = ((230, 57, 70), (29, 120, 210), (42, 157, 90), (244, 162, 40), (131, 56, 180), (0, 150, 170))
MASK_ALPHA = 110
"""Of 255: the image shows through."""


def write_previews(
    answers: Sequence[MultiOutputResponse], inputs: Sequence[Input], folder: Path, method: str
) -> tuple[Path, ...]:
    """Write what can be looked at or listened to; returns the files. Blocking, needs Pillow.

    Each is named `METHOD-ANSWER-OUTPUT-WHAT`, numbers from 1: `predict-1-1-regions.png`.
    """
    written = []
    for number, answer in enumerate(answers, 1):
        for index, output in enumerate(answer.outputs):
            given = inputs[index] if index < len(inputs) else None
            name = f"{method}-{number}-{index + 1}"
            for ending, content in _render(output, given):
                folder.mkdir(parents=True, exist_ok=True)
                path = folder / f"{name}-{ending}"
                path.write_bytes(content)
                written.append(path)
    return tuple(written)


def _render(output: Output, given: Input | None) -> Iterator[tuple[str, bytes]]:
    """What to call it, and the file's content."""
    for kind in ("image", "audio", "video"):
        if output.data.HasField(kind) and (content := getattr(output.data, kind).base64):
            _, ending = recognise(content)
            yield f"{kind}.{ending or 'bin'}", content
    if output.data.regions and given is not None and given.data.image.base64:
        drawn = draw_regions(given.data.image.base64, output.data.regions)
        if drawn:
            yield "regions.png", drawn


def draw_regions(image: bytes, regions: Sequence[Region]) -> bytes:
    """The image with every box and mask on it, as a PNG; empty where the image cannot be read."""
    # Pillow is needed by this alone, and slow to import.
    from PIL import Image, ImageDraw, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(image)) as opened:
            canvas = opened.convert("RGBA")
    except (UnidentifiedImageError, OSError):
        return b""
    for index, region in enumerate(regions):
        if mask := region.region_info.mask.image.base64:
            canvas = _lay_over(canvas, mask, COLOURS[index % len(COLOURS)])
    draw = ImageDraw.Draw(canvas)
    width = max(2, round(min(canvas.size) / 150))
    for index, region in enumerate(regions):
        if region.region_info.HasField("bounding_box"):
            _draw_box(draw, region, canvas.size, COLOURS[index % len(COLOURS)], width)
    written = io.BytesIO()
    canvas.convert("RGB").save(written, "PNG")
    return written.getvalue()


def _lay_over(canvas: Any, mask: bytes, colour: tuple[int, int, int]) -> Any:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(mask)) as opened:
            shape = opened.convert("L").resize(canvas.size).point(lambda value: MASK_ALPHA if value else 0)
    except (UnidentifiedImageError, OSError):
        return canvas
    layer = Image.new("RGBA", canvas.size, (*colour, 255))
    layer.putalpha(shape)
    return Image.alpha_composite(canvas, layer)


def _draw_box(draw: Any, region: Region, size: tuple[int, int], colour: tuple[int, int, int], width: int) -> None:
    box = region.region_info.bounding_box
    left, right = sorted((box.left_col * size[0], box.right_col * size[0]))
    top, bottom = sorted((box.top_row * size[1], box.bottom_row * size[1]))
    draw.rectangle((left, top, right, bottom), outline=colour, width=width)
    label = ", ".join(f"{one.name or one.id} {one.value:.2f}" for one in region.data.concepts[:2])
    if label:
        place = (left + width + 1, max(top - 12, 0))
        draw.rectangle(draw.textbbox(place, label), fill=colour)
        draw.text(place, label, fill=(255, 255, 255))
