"""What commands print: tables for people, JSON for programs, progress where somebody watches."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence

import click
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from modelyard.wire.messages import StatusCode

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON; errors too, on stderr.")


def print_json(document: object) -> None:
    """One JSON document on one line."""
    click.echo(json.dumps(document, ensure_ascii=False))


def as_dict(message: Message) -> dict[str, object]:
    """A V2 message as its JSON says it, in snake case."""
    return MessageToDict(message, preserving_proto_field_name=True)


def name_state(code: int) -> str:
    """A status by its name; by its number where a newer server has a state that we do not know."""
    return str(StatusCode.Name(code)) if code in StatusCode.values() else str(code)


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns as wide as they need to be; the same in a pipe as on a terminal."""
    table = [list(header), *[list(row) for row in rows]]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    for number, row in enumerate(table):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        click.echo(click.style(line, bold=True) if number == 0 else line)


def is_watched() -> bool:
    """Does a person see stderr as it is written?"""
    return sys.stderr.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
