"""`modelyard check`: is the folder right, what of it would be sent, and what can be mended?"""

from __future__ import annotations

from pathlib import Path

import click

from modelyard.cli.output import json_option, print_json, print_table
from modelyard.errors import InvalidRequest
from modelyard.local.fix import Fix, apply_fixes, describe_fixes, plan_fixes
from modelyard.parts.folder import CheckedFolder, check_folder
from modelyard.parts.hub.sizes import show_files, show_size
from modelyard.parts.inspection import inspect_code
from modelyard.parts.survey import Survey, survey_folder


@click.command("check")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--list", "is_list", is_flag=True, help="List what an upload would send, and what stays here and why.")
@click.option("--fix", "is_fix", is_flag=True, help="Mend what is certain, show it, and check what is then there.")
@click.option("--diff", "is_diff", is_flag=True, help="Show what --fix would change, and change nothing.")
@json_option
def command(folder: Path, *, is_list: bool, is_fix: bool, is_diff: bool, as_json: bool) -> None:
    """Check a model folder without running any of it: all problems at once, each with its file and line.

    Problems make it fail; warnings, such as an import that nothing in requirements.txt brings, do not.
    """
    if is_list + is_fix + is_diff > 1:
        raise click.UsageError("--list, --fix and --diff are three different questions: ask one of them")
    if is_list:
        _list_files(folder, as_json=as_json)
    elif is_diff:
        _show_fixes(plan_fixes(folder), as_json=as_json)
    else:
        fixes = plan_fixes(folder) if is_fix else ()
        apply_fixes(folder, fixes)
        if not as_json and fixes:
            _show_fixes(fixes, as_json=False)
        _check(folder, fixes, as_json=as_json)


def _check_folder(folder: Path) -> CheckedFolder:
    """What can be mended is said beside what is wrong."""
    try:
        return check_folder(folder)
    except InvalidRequest as error:
        if plan_fixes(folder):
            mend = f"modelyard check {folder} --fix mends what is certain"
            error.hint = f"{error.hint}; {mend}" if error.hint else mend
        raise


def _check(folder: Path, fixes: tuple[Fix, ...], *, as_json: bool) -> None:
    checked = _check_folder(folder)
    warnings = (*checked.warnings, *inspect_code(folder, checked), *survey_folder(folder).warnings)
    if as_json:
        print_json(_describe_checked(checked, warnings, fixes))
        return
    for note in checked.notes:
        click.secho(f"note: {note}", dim=True, err=True)
    _print_warnings(warnings)
    click.echo(f"{folder}: {checked.config.model.id} ({checked.config.model.model_type_id}) is fine")


def _describe_checked(checked: CheckedFolder, warnings: tuple[str, ...], fixes: tuple[Fix, ...]) -> dict[str, object]:
    model = checked.config.model
    described: dict[str, object] = {
        "model_id": model.id,
        "model_type_id": model.model_type_id,
        "warnings": warnings,
        "notes": checked.notes,
    }
    return described | ({"fixed": describe_fixes(fixes)} if fixes else {})


def _show_fixes(fixes: tuple[Fix, ...], *, as_json: bool) -> None:
    if as_json:
        print_json({"fixes": describe_fixes(fixes)})
        return
    for fix in fixes:
        click.echo(fix.diff)
    if not fixes:
        click.echo("there is nothing that can be mended for certain")


def _list_files(folder: Path, *, as_json: bool) -> None:
    """A folder that is not right yet can be listed, too."""
    survey = survey_folder(folder)
    if as_json:
        print_json(_describe(survey))
        return
    rows = [(file.path, show_size(file.size_bytes), file.part) for file in survey.files]
    total = ("total", show_size(survey.size_bytes), show_files(len(rows)))
    print_table(("file", "size", "sent as"), [*rows, total])
    if survey.ignored:
        click.echo()
        print_table(("stays here", "why"), survey.ignored)
    _print_warnings(survey.warnings)


def _describe(survey: Survey) -> dict[str, object]:
    return {
        "files": [{"path": one.path, "size_bytes": one.size_bytes, "part": one.part} for one in survey.files],
        "size_bytes": survey.size_bytes,
        "ignored": [{"path": path, "why": why} for path, why in survey.ignored],
        "warnings": survey.warnings,
    }


def _print_warnings(warnings: tuple[str, ...]) -> None:
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
