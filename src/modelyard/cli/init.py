"""`modelyard init`: start a model folder from a template."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from modelyard.cli.output import json_option, print_json, print_table
from modelyard.config.pythons import PYTHON_VERSIONS
from modelyard.errors import InvalidRequest
from modelyard.local.catalog import TEMPLATES, Template, find_template, join_names
from modelyard.local.init import Start, choose_model_id, join_command, start_folder

THIS_PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR", required=False)
@click.option("--template", "-t", "name", metavar="NAME", help="What to start from: see --list.")
@click.option(
    "--checkpoint", metavar="OWNER/NAME", default="", help="A Hugging Face repository to run, by transformers."
)
@click.option("--model-id", default="", help="Instead of one made from the folder's name.")
@click.option("--user-id", default="", help="Written into config.yaml; without it, whoever uploads.")
@click.option("--app-id", default="", help="Written into config.yaml; without it, main.")
@click.option("--python", "python_version", type=click.Choice(PYTHON_VERSIONS), help="Default: the one that runs this.")
@click.option("--force", "is_forced", is_flag=True, help="Write into a folder that has files, and over them.")
@click.option("--list", "is_list", is_flag=True, help="List the templates.")
@json_option
def command(
    folder: Path | None,
    name: str | None,
    checkpoint: str,
    model_id: str,
    user_id: str,
    app_id: str,
    python_version: str | None,
    *,
    is_forced: bool,
    is_list: bool,
    as_json: bool,
) -> None:
    """Start a model folder from a template, which runs as it is: then put your model in.

    With --checkpoint the folder runs a model of the Hugging Face hub; without it, a small model that needs no download.
    """
    if is_list:
        _print_list(as_json=as_json)
        return
    if folder is None:
        raise click.UsageError("Missing argument 'DIR'.")
    asked = name or _ask_template(folder, is_checkpoint=bool(checkpoint), is_asking=not as_json)
    template = find_template(asked, is_checkpoint=bool(checkpoint))
    start = Start(
        template=template,
        model_id=model_id or choose_model_id(folder, template),
        user_id=user_id,
        app_id=app_id,
        python_version=python_version or (THIS_PYTHON if THIS_PYTHON in PYTHON_VERSIONS else PYTHON_VERSIONS[-1]),
        checkpoint=checkpoint,
    )
    files = start_folder(folder, start, is_forced=is_forced)
    commands = _list_commands(folder, start)
    if as_json:
        print_json(
            {
                "folder": str(folder),
                "template": template.name,
                "model_id": start.model_id,
                "checkpoint": checkpoint or None,
                "files": files,
                "next": commands,
            }
        )
        return
    _print_tree(folder, start, files)
    click.echo("\nnext:")
    for line in commands:
        click.echo(f"  {line}")


def _print_list(*, as_json: bool) -> None:
    if as_json:
        print_json(
            [
                {
                    "name": template.name,
                    "summary": template.summary,
                    "aliases": template.aliases,
                    "checkpoint": template.checkpoint or None,
                }
                for template in TEMPLATES
            ]
        )
        return
    rows = [(one.name, "yes" if one.checkpoint else "", one.summary) for one in TEMPLATES]
    print_table(("template", "--checkpoint", "what it does"), rows)


def _ask_template(folder: Path, *, is_checkpoint: bool, is_asking: bool) -> str:
    """Ask a person; tell a program what there is."""
    if not (is_asking and sys.stdin.isatty() and sys.stderr.isatty()):
        raise InvalidRequest(
            f"no template is named; there are: {join_names(is_checkpoint=is_checkpoint)}",
            hint=f"such as: modelyard init {folder} --template {TEMPLATES[0].name}",
        )
    offered = [template for template in TEMPLATES if template.checkpoint or not is_checkpoint]
    for number, template in enumerate(offered, start=1):
        click.echo(f"{number:>3}  {template.name:<20}{template.summary}", err=True)
    chosen: Template = click.prompt(
        "Template (number or name)", value_proc=lambda text: _read_choice(text, offered), err=True
    )
    return chosen.name


def _read_choice(text: str, offered: list[Template]) -> Template:
    """What a person types: a number of the list, or a name."""
    text = text.strip()
    if not text.isdecimal():
        try:
            return find_template(text)
        except InvalidRequest as unknown:
            raise click.BadParameter(unknown.message) from None
    if 1 <= int(text) <= len(offered):
        return offered[int(text) - 1]
    raise click.BadParameter(f"{text} is not in the list; there are 1 to {len(offered)}")


def _list_commands(folder: Path, start: Start) -> list[str]:
    """The three commands that come next, from where this one was given."""
    example = tuple(_place(word, folder) for word in start.template.example)
    return [
        join_command(("modelyard", "run", str(folder))),
        join_command(("modelyard", "upload", str(folder))),
        join_command(("modelyard", "predict", start.model_id, *example)),
    ]


def _place(word: str, folder: Path) -> str:
    prefix, found, rest = word.rpartition("samples/")
    return f"{prefix}{folder / found / rest}" if found else word


def _print_tree(folder: Path, start: Start, files: tuple[str, ...]) -> None:
    what = f"{start.template.name} with {start.checkpoint}" if start.checkpoint else start.template.name
    click.echo(f"{click.style(f'{folder}/', bold=True)}  {start.model_id}, {what}")
    for number, name in enumerate(files):
        branch = "└──" if number == len(files) - 1 else "├──"
        click.echo(f"{branch} {name}")
