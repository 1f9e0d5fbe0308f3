"""The reference pages, written from the code: `script/update-reference`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from modelyard.cli.exit_codes import TABLE as EXIT_CODES
from modelyard.cli.main import cli
from modelyard.config.model_types import MODEL_TYPES
from modelyard.config.schema_file import INSTALLED as INSTALLED_SCHEMA
from modelyard.wire.messages import StatusCode
from modelyard.wire.status import TABLE as ERROR_CODES
from support.config_pages import render_config, render_instances, render_schema

FOLDER = Path(__file__).parents[2] / "docs" / "reference"


def render_commands() -> str:
    """The command line: every command's help, and the exit codes."""
    lines = ["# The command line", "", "Written by `script/update-reference` from the commands themselves.", ""]
    context = click.Context(cli, info_name="modelyard", **cli.context_settings)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        lines += _render_command(command, click.Context(command, parent=context, info_name=name))
    lines += ["## Exit codes", "", "| code | when |", "|---:|---|", "| 0 | it worked |"]
    lines += [f"| {code} | {when} |" for _, code, when in EXIT_CODES]
    return "\n".join(lines) + "\n"


def _render_command(command: click.Command, context: click.Context) -> list[str]:
    context.terminal_width = 100  # wherever it is run
    text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    lines = [f"## {context.command_path}", "", "```", text, "```", ""]
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            lines += _render_command(below, click.Context(below, parent=context, info_name=name))
    return lines


def render_errors() -> str:
    """How each error looks at each door."""
    lines = [
        "# Errors",
        "",
        "Written by `script/update-reference`. Over gRPC an error is a V2 status inside an OK answer, as published",
        "clients expect; the gRPC code is used where there can be no answer. Over REST the same status comes with the",
        "HTTP status.",
        "",
        "| error | V2 status | gRPC | HTTP | |",
        "|---|---|---:|---:|---|",
    ]
    for kind, codes in ERROR_CODES.items():
        sentence = (kind.__doc__ or "").strip().splitlines()[0]
        lines.append(
            f"| {kind.__name__} | {codes.v2} {StatusCode.Name(codes.v2)} | {codes.grpc} | {codes.http} | {sentence} |"
        )
    return "\n".join(lines) + "\n"


def render_model_types() -> str:
    """The public model types."""
    lines = [
        "# Model types",
        "",
        "Written by `script/update-reference` from `config/model_types.py`: what `model.model_type_id` may be.",
        "",
        "| id | inputs | outputs | needs concepts |",
        "|---|---|---|---|",
    ]
    for one in MODEL_TYPES.values():
        needs = "yes" if one.needs_concepts else ""
        lines.append(f"| `{one.id}` | {', '.join(one.input_fields)} | {', '.join(one.output_fields)} | {needs} |")
    return "\n".join(lines) + "\n"


PAGES = {
    "cli.md": render_commands,
    "errors.md": render_errors,
    "model-types.md": render_model_types,
    "config.md": render_config,
    "instances.md": render_instances,
    "config.schema.json": render_schema,
}

if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for page, render in PAGES.items():
        (folder / page).write_text(render())
    if folder == FOLDER:
        INSTALLED_SCHEMA.write_text(render_schema())
