"""The report of a test run, as people read it and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from modelyard.cli.answers import describe_value, print_answer
from modelyard.cli.output import as_dict
from modelyard.local.checks import Finding
from modelyard.local.machine import show_bytes
from modelyard.local.preview import write_previews
from modelyard.local.run import Report, Step
from modelyard.parts.cache_dir import default_cache_dir
from modelyard.wire.messages import Input

MAX_PIECES = 200
"""Of a stream that are shown; a note says how many more there are."""
MAX_TEXT = 70
Saved = Mapping[str, Sequence[Path]]


def save_previews(report: Report, folder: Path | None) -> Saved:
    """Write drawn boxes and media; by method. Where nobody says a folder, in the cache, by the model's id."""
    place = folder or default_cache_dir() / "previews" / report.prepared.config.model.id
    return {step.method: write_previews(step.answers, step.inputs, place, step.method) for step in report.steps}


def print_report(report: Report, saved: Saved) -> None:
    """Everything on stdout but the warnings."""
    for warning in report.warnings:
        click.echo(f"{click.style('warning:', fg='yellow')} {warning}", err=True)
    model = report.prepared.config.model
    click.echo(click.style(f"{model.id} ({model.model_type_id})", bold=True))
    for name, value in _list_facts(report):
        click.echo(f"  {name:<12} {value}")
    for step in report.steps:
        _print_step(step, saved.get(step.method, ()), is_usual=step.inputs == report.inputs)


def _list_facts(report: Report) -> list[tuple[str, str]]:
    prepared = report.prepared
    made = f"made in {prepared.environment_s:.1f} s" if prepared.is_environment_new else "there already"
    facts = [("environment", f"Python {prepared.python_version}, {made}")]
    if prepared.checkpoint:
        source, part = prepared.checkpoint, prepared.checkpoint.part
        size = f"{len(part.files)} files, {show_bytes(part.size_bytes)}, ready in {prepared.checkpoint_s:.1f} s"
        facts.append(("checkpoint", f"{source.repo_id} at {source.revision[:12]}, {size}"))
    facts.append(("load", f"{report.load_s:.2f} s"))
    limit = prepared.config.compute.cpu_memory
    of = f" of {limit} (cpu_memory)" if limit else ""
    facts.append(("memory", f"{show_bytes(report.peak_memory_bytes)} at most{of}"))
    facts.append(("input", _describe_inputs(report.inputs)))
    return facts


def _describe_inputs(inputs: Sequence[Input]) -> str:
    return "; ".join(map(_describe_input, inputs))


def _describe_input(given: Input) -> str:
    data, told = given.data, []
    if data.text.raw:
        text = " ".join(data.text.raw.split())
        told.append(f"text {_shorten(text)!r}")
    for kind in ("image", "audio", "video"):
        if data.HasField(kind):
            media = getattr(data, kind)
            told.append(f"{kind} {media.url or show_bytes(len(media.base64))}")
    told += [f"{part.id}={_shorten(describe_value(part.data))}" for part in data.parts]
    return (", " if data.parts else " and ").join(told) or ("nothing" if data.HasField("metadata") else "data")


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 3] + "..."


def _print_step(step: Step, saved: Sequence[Path], *, is_usual: bool) -> None:
    state = click.style("failed", fg="red") if step.error else click.style("ok", fg="green")
    line = f"  {step.method:<12} {state}, {step.latency_s * 1000:.1f} ms"
    if step.kind != "predict" and step.first_s is not None:
        line += f", {len(step.answers)} answers, the first after {step.first_s * 1000:.1f} ms"
    if not is_usual and step.inputs:
        line += f", with {_describe_inputs(step.inputs)}"
    click.echo(line)
    for answer in step.answers[:MAX_PIECES]:
        print_answer(answer, is_piece=step.kind != "predict")
    if step.answers and step.kind != "predict":
        click.echo()
    if len(step.answers) > MAX_PIECES:
        click.echo(f"and {len(step.answers) - MAX_PIECES} answers more")
    for path in saved:
        click.echo(f"  see {path}")
    for finding in step.findings:
        if finding.is_error:
            click.echo(f"  {click.style('broken:', fg='red')} {finding}")


def as_document(report: Report, saved: Saved) -> dict[str, Any]:
    """The report as JSON has it; times in seconds, sizes in bytes."""
    prepared = report.prepared
    model, checkpoint = prepared.config.model, prepared.checkpoint
    return {
        "model_id": model.id,
        "model_type_id": model.model_type_id,
        "python_version": prepared.python_version,
        "warnings": list(report.warnings),
        "environment_s": round(prepared.environment_s, 3),
        "is_environment_new": prepared.is_environment_new,
        "checkpoint": {"repo_id": checkpoint.repo_id, "revision": checkpoint.revision} if checkpoint else None,
        "checkpoint_s": round(prepared.checkpoint_s, 3),
        "load_s": round(report.load_s, 3),
        "peak_memory_bytes": report.peak_memory_bytes,
        "cpu_memory_bytes": report.cpu_memory_bytes,
        "concepts": [{"id": one.id, "name": one.name} for one in prepared.config.concepts],
        "steps": [_describe_step(step, saved.get(step.method, ())) for step in report.steps],
    }


def _describe_step(step: Step, saved: Sequence[Path]) -> dict[str, Any]:
    return {
        "method": step.method,
        "input": _describe_inputs(step.inputs),
        "latency_s": round(step.latency_s, 6),
        "first_s": None if step.first_s is None else round(step.first_s, 6),
        "answers": [as_dict(one) for one in step.answers],
        "findings": [_describe_finding(one) for one in step.findings],
        "files": [str(path) for path in saved],
        "error": step.error.message if step.error else None,
    }


def _describe_finding(finding: Finding) -> dict[str, object]:
    return {"where": finding.where, "problem": finding.problem, "fix": finding.fix, "is_error": finding.is_error}
