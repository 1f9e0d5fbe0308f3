"""`modelyard run DIR --strict`: the conformance run, a line for each probe as it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from modelyard.cli.output import print_json
from modelyard.cli.run_report import as_document
from modelyard.local.conformance import Result, make_error, run_probes
from modelyard.local.probes import PROBES, Verdict, choose_probes
from modelyard.local.run import Report
from modelyard.local.session import Options

COLOURS = {
    Verdict.SURVIVED: "green",
    Verdict.UNUSUAL: "yellow",
    Verdict.FAILED: "red",
    Verdict.SKIPPED: "bright_black",
}


def run_strict(
    report: Report, options: Options, only: Sequence[str], tell: Callable[[str], None], *, as_json: bool
) -> None:
    """Run the probes of these names, all without names, and print what they find. Raises NotConformant."""
    known = [probe.name for probe in PROBES]
    if unknown := [name for name in only if name not in known]:
        raise click.UsageError(f"--only {unknown[0]}: there is no such probe; there are {', '.join(known)}")
    results = []
    for result in run_probes(report.prepared, options, choose_probes(only), tell):
        results.append(result)
        if not as_json:
            _print_result(result)
    if as_json:
        print_json({**as_document(report, {}), "probes": [_describe(one) for one in results]})
    if error := make_error(results):
        raise error


def _print_result(result: Result) -> None:
    outcome = result.outcome
    verdict = click.style(f"{outcome.verdict.value:<8}", fg=COLOURS[outcome.verdict])
    click.echo(f"  {result.probe.name:<12} {verdict}  {result.seconds:5.1f} s  {result.probe.what}")
    if outcome.reason:
        click.echo(f"  {'':<12} {outcome.reason}")
    if outcome.fix:
        click.echo(f"  {'':<12} {click.style('next:', bold=True)} {outcome.fix}")


def _describe(result: Result) -> dict[str, Any]:
    return {
        "name": result.probe.name,
        "what": result.probe.what,
        "verdict": result.outcome.verdict.value,
        "reason": result.outcome.reason,
        "fix": result.outcome.fix,
        "seconds": round(result.seconds, 3),
    }
