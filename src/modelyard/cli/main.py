"""`modelyard`: finds the command, runs it, and tells errors. Commands are imported when they are used."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from collections.abc import Mapping

import click

from modelyard.cli.exit_codes import INTERRUPTED, exit_code_of
from modelyard.errors import Cancelled, InternalError, ModelyardError

COMMANDS: Mapping[str, str] = {
    "up": "Run the server.",
    "env": "Print shell exports that point clients at the server.",
    "init": "Start a model folder from a template.",
    "check": "Check a model folder without running it.",
    "schema": "The JSON schema of config.yaml, for editors.",
    "run": "Test a model folder on this machine, without a server.",
    "upload": "Upload a model folder as a new version, and wait until it serves.",
    "dev": "Keep a development model current on every save.",
    "predict": "Ask a model.",
    "models": "List models.",
    "versions": "List the versions of a model.",
    "rollback": "Go back to the version before.",
    "promote": "Send all requests to one version.",
    "traffic": "Share the requests out by weight or by header.",
    "scale": "Set how many replicas a model may have.",
    "logs": "Show the build log or the run log of a model.",
    "depot": "Look after the files that a server keeps: usage, gc, scrub.",
    "tokens": "Create, list and revoke access tokens.",
    "delete": "Delete a model, or one version of it.",
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports `modelyard.cli.NAME` when one is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of a first day, not of the alphabet."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command's own module has it as `command`."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"modelyard.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list, without importing any of them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="modelyard")
def cli() -> None:
    """From a model folder to a served model, on your own machine.

    A first day: `modelyard up` in one terminal; in another `eval "$(modelyard env)"`, `modelyard upload DIR`,
    `modelyard predict MODEL --text hello`.
    """


def main() -> None:
    """Run the command line; errors become a message on stderr and an exit code by their cause."""
    try:
        sys.exit(cli.main(standalone_mode=False, color=_choose_color()) or 0)
    except ModelyardError as error:
        _tell(error)
        sys.exit(exit_code_of(error))
    except click.ClickException as error:
        _tell_usage(error)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        if _wants_json():
            _tell(Cancelled("interrupted"))
        else:
            click.echo("interrupted", err=True)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does; nothing is left to say, and nobody to say it to.
        sys.stderr.close()
        sys.exit(0)
    except Exception as fault:  # noqa: BLE001 - the outermost boundary: a fault of ours, told with its place
        ours = InternalError(f"{type(fault).__name__}: {fault}", details=traceback.format_exc())
        _tell(ours)
        sys.exit(exit_code_of(ours))


def _choose_color() -> bool | None:
    """None: wherever a terminal is. `NO_COLOR` is the convention of no-color.org; click does not know it."""
    return False if os.environ.get("NO_COLOR") else None


def _wants_json() -> bool:
    return "--json" in sys.argv


def _tell(error: ModelyardError) -> None:
    if _wants_json():
        _tell_json(type(error).__name__, error.message, error.hint, error.details)
        return
    color = _choose_color()
    click.echo(f"{click.style('error:', fg='red', bold=True)} {error.message}", err=True, color=color)
    if error.details:
        click.echo("\n".join(f"  {line}" for line in error.details.splitlines()), err=True)
    if error.hint:
        click.echo(f"  {click.style('next:', bold=True)} {error.hint}", err=True, color=color)


def _tell_usage(error: click.ClickException) -> None:
    if not _wants_json():
        error.show()
        return
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f"{context.command_path} --help" if context else ""
    _tell_json(type(error).__name__, error.format_message(), hint, "")


def _tell_json(kind: str, message: str, hint: str, details: str) -> None:
    told = {"type": kind, "message": message, "hint": hint, "details": details}
    click.echo(json.dumps({"error": told}), err=True)


if __name__ == "__main__":
    main()
