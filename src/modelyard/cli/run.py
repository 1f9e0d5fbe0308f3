"""`modelyard run`: test a folder on this machine, without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from modelyard.cli.answers import print_answer
from modelyard.cli.inputs import read_media, read_text
from modelyard.cli.output import as_dict, json_option, print_json
from modelyard.client.inputs import make_file_input
from modelyard.local.run import TIMEOUT_S, Options, Report, Step, run_folder

Many = tuple[str, ...]


@click.command("run")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--text", "texts", multiple=True, help="A text instead of the sample; '-' reads it from stdin.")
@click.option("--image", "images", multiple=True, metavar="FILE", help="An image instead of the sample; or '-'.")
@click.option("--audio", "audios", multiple=True, metavar="FILE", help="A recording instead of the sample; or '-'.")
@click.option("--video", "videos", multiple=True, metavar="FILE", help="A video; or '-'.")
@click.option("--file", "files", multiple=True, metavar="FILE", help="Anything; its ending says what it is.")
@click.option("--timeout", "timeout_s", default=TIMEOUT_S, show_default=True, help="Seconds the model may say nothing.")
@click.option("--quiet", "-q", is_flag=True, help="Leave out what the build and the model print.")
@json_option
def command(
    folder: Path,
    texts: Many,
    images: Many,
    audios: Many,
    videos: Many,
    files: Many,
    timeout_s: float,
    *,
    quiet: bool,
    as_json: bool,
) -> None:
    """Test a model folder: install its environment, load it, and send one request to each method that it has.

    Without an input of your own a small sample is sent that fits the model's type.
    """
    inputs = [
        *(read_text(one) for one in texts),
        *(read_media("image", one) for one in images),
        *(read_media("audio", one) for one in audios),
        *(read_media("video", one) for one in videos),
        *(make_file_input(one) for one in files),
    ]
    is_quiet = quiet or as_json

    def tell(line: str) -> None:
        if not is_quiet:
            click.echo(f"  {line}", err=True)

    report = run_folder(folder, Options(inputs=inputs, timeout_s=timeout_s), tell_build=tell, tell_line=tell)
    if as_json:
        print_json(_as_document(report))
    else:
        _print_report(report)
    if report.error:
        raise report.error


def _print_report(report: Report) -> None:
    for warning in report.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(click.style(f"{report.model_id} ({report.model_type_id})", bold=True))
    click.echo(f"  environment  Python {report.python_version}, ready after {report.environment_s:.1f} s")
    click.echo(f"  load         {report.load_s:.2f} s")
    for step in report.steps:
        _print_step(step)


def _print_step(step: Step) -> None:
    state = click.style("failed", fg="red") if step.error else click.style("ok", fg="green")
    line = f"  {step.method:<11}  {state}, {step.latency_s * 1000:.1f} ms"
    if step.method != "predict" and step.first_s is not None:
        line += f", {len(step.answers)} answers, the first after {step.first_s * 1000:.1f} ms"
    click.echo(line)
    for answer in step.answers:
        print_answer(answer, is_piece=step.method != "predict")
    if step.answers and step.method != "predict":
        click.echo()


def _as_document(report: Report) -> dict[str, Any]:
    return {
        "model_id": report.model_id,
        "model_type_id": report.model_type_id,
        "python_version": report.python_version,
        "warnings": list(report.warnings),
        "environment_s": round(report.environment_s, 3),
        "load_s": round(report.load_s, 3),
        "steps": [
            {
                "method": step.method,
                "latency_s": round(step.latency_s, 6),
                "first_s": None if step.first_s is None else round(step.first_s, 6),
                "answers": [as_dict(one) for one in step.answers],
                "error": step.error.message if step.error else None,
            }
            for step in report.steps
        ],
    }
