"""Answers of models as people read them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import click

from modelyard.cli.output import as_dict, print_table
from modelyard.client.outputs import unwrap_results
from modelyard.wire.messages import Concept, Data, MultiOutputResponse, Output, Region, StatusCode

MAX_CONCEPTS = 10
MAX_NUMBERS = 5
MAX_JOINED = 5
BAR_WIDTH = 24


def print_answer(answer: MultiOutputResponse, *, is_piece: bool = False) -> None:
    """Print every output; a piece of a stream without an end of line."""
    for number, output in enumerate(unwrap_results(answer).outputs):
        if len(answer.outputs) > 1 and not is_piece:
            click.echo(click.style(f"output {number + 1}", bold=True))
        _print_output(output, is_piece=is_piece)


def _print_output(output: Output, *, is_piece: bool) -> None:
    if output.status.code not in (0, StatusCode.SUCCESS):
        click.echo(f"failed: {output.status.description} {output.status.details}".rstrip())
    data = output.data
    if data.HasField("text"):
        click.echo(data.text.raw, nl=not is_piece)
    if data.concepts:
        _print_concepts(data.concepts)
    if is_piece and data.HasField("text"):
        return  # what comes beside it would stand between the pieces
    for line in describe(data):
        click.echo(line)


def describe(data: Data) -> Iterator[str]:
    """Whatever is neither text nor concepts, a line each."""
    for region in data.regions:
        yield f"region {_describe_place(region)} {_join_concepts(region.data)}".rstrip()
    for frame in data.frames:
        yield f"frame {frame.frame_info.index} at {frame.frame_info.time / 1000:.3f} s: {_sum_up(frame.data)}"
    for segment in data.time_segments:
        begin, end = segment.time_info.begin_time / 1000, segment.time_info.end_time / 1000
        yield f"{begin:.3f} to {end:.3f} s: {_sum_up(segment.data)}"
    for embedding in data.embeddings:
        numbers = ", ".join(f"{one:.4f}" for one in embedding.vector[:MAX_NUMBERS])
        yield f"embedding of {len(embedding.vector)} numbers: {numbers}, ..."
    for kind in ("image", "audio", "video"):
        if data.HasField(kind):
            media = getattr(data, kind)
            yield f"{kind} of {len(media.base64)} bytes {media.url}".rstrip()
    yield from _describe_plain(data)
    for part in data.parts:
        inside = describe_value(part.data)
        yield f"{part.id}: {inside}" if part.id else f"- {inside}"
    for name in ("clusters", "colors", "tracks"):
        yield from (f"{name}: {as_dict(one)}" for one in getattr(data, name))


def describe_value(data: Data) -> str:
    """A value of a typed method on one line."""
    shown = "; ".join(describe(data))
    return " ".join(part for part in (data.text.raw, _join_concepts(data), shown) if part) or "empty"


def _describe_plain(data: Data) -> Iterator[str]:
    """Texts, numbers and documents of typed methods."""
    for name in ("string_value", "int_value", "float_value", "bool_value"):
        if value := getattr(data, name):
            yield str(value)
    if data.bytes_value:
        yield f"{len(data.bytes_value)} bytes"
    if data.HasField("struct_value"):
        yield json.dumps(as_dict(data.struct_value), ensure_ascii=False)
    if data.HasField("ndarray"):
        yield f"array of {data.ndarray.dtype}, {' x '.join(map(str, data.ndarray.shape))}"


def _describe_place(region: Region) -> str:
    place = region.region_info
    if place.HasField("mask"):
        return f"with a mask of {len(place.mask.image.base64)} bytes"
    box = place.bounding_box
    return f"top={box.top_row:.3f} left={box.left_col:.3f} bottom={box.bottom_row:.3f} right={box.right_col:.3f}"


def _sum_up(data: Data) -> str:
    """What a frame or a moment has, on one line."""
    boxes = "; ".join(describe(data))
    return " ".join(part for part in (data.text.raw, _join_concepts(data), boxes) if part)


def _join_concepts(data: Data) -> str:
    best = sorted(data.concepts, key=lambda one: one.value, reverse=True)[:MAX_JOINED]
    return ", ".join(f"{one.name or one.id} {one.value:.3f}" for one in best)


def _print_concepts(concepts: Sequence[Concept]) -> None:
    best = sorted(concepts, key=lambda one: one.value, reverse=True)[:MAX_CONCEPTS]
    rows = [(one.name or one.id, f"{one.value:.4f}", "▇" * round(one.value * BAR_WIDTH)) for one in best]
    print_table(("concept", "value", ""), rows)
    if len(concepts) > len(best):
        click.echo(f"and {len(concepts) - len(best)} more")
