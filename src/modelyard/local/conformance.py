"""The conformance run: every probe against a loaded model, each on its own, whatever the one before did."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from modelyard.errors import DeadlineExceeded, ModelyardError, NotConformant, WorkerCrashed
from modelyard.local.bench import Bench
from modelyard.local.probes import Outcome, Probe, Verdict
from modelyard.local.session import Options, Prepared
from modelyard.parts.code import list_files

Tell = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Result:
    """One probe, and what it found."""

    probe: Probe
    outcome: Outcome
    seconds: float


def run_probes(prepared: Prepared, options: Options, probes: Iterable[Probe], tell: Tell) -> Iterator[Result]:
    """Try a prepared folder's model; results as they come. After each probe an ordinary request has to be answered as
    before; a worker that a probe killed is started again for the next.

    Raises what loading the model raises, and what an ordinary request raises before the first probe.
    """
    before = _stamp_files(prepared.folder)
    with Bench(prepared, options, tell) as bench:
        _ = bench.baseline
        for probe in probes:
            began = time.monotonic()
            outcome = _run(bench, probe)
            yield Result(probe=probe, outcome=outcome, seconds=time.monotonic() - began)
    yield _look_at_folder(prepared.folder, before)


def make_error(results: Iterable[Result]) -> NotConformant | None:
    """The error of a run; None where the model survived everything."""
    failed = [one for one in results if one.outcome.verdict is Verdict.FAILED]
    if not failed:
        return None
    names = ", ".join(one.probe.name for one in failed)
    return NotConformant(f"the model does not survive: {names}", hint="the report says what to change, probe by probe")


def _run(bench: Bench, probe: Probe) -> Outcome:
    try:
        outcome = probe.run(bench)
    except DeadlineExceeded:
        bench.drop()
        return Outcome(
            verdict=Verdict.FAILED,
            reason=f"no answer within {bench.patience_s:.0f} s",
            fix="bound the work on one request, by its size and in time",
        )
    except WorkerCrashed as crashed:
        bench.drop()
        return Outcome(
            verdict=Verdict.FAILED,
            reason=crashed.message,
            fix="check inputs before native code or the whole memory gets them",
        )
    except ModelyardError as error:
        outcome = Outcome(verdict=Verdict.FAILED, reason=error.message, fix=error.hint)
    if outcome.verdict in (Verdict.FAILED, Verdict.SKIPPED):
        return outcome
    sickness = bench.find_sickness()
    if not sickness:
        return outcome
    return Outcome(
        verdict=Verdict.FAILED, reason=sickness, fix="leave nothing of a request behind, in self or in globals"
    )


def _look_at_folder(folder: Path, before: dict[str, tuple[int, int]]) -> Result:
    """Not a request, and yet what production does: its folder is shared, and its weights are read-only."""
    probe = Probe(
        name="folder",
        what="what the model writes into its own folder",
        run=lambda _bench: Outcome(verdict=Verdict.SKIPPED),
    )
    after = _stamp_files(folder)
    changed = sorted(name for name in after if before.get(name) != after[name])
    gone = sorted(name for name in before if name not in after)
    if not changed and not gone:
        return Result(probe=probe, outcome=Outcome(verdict=Verdict.SURVIVED), seconds=0.0)
    shown = ", ".join([*changed, *(f"{name} (removed)" for name in gone)][:5])
    outcome = Outcome(
        verdict=Verdict.UNUSUAL,
        reason=f"the model wrote into its folder: {shown}",
        fix="write to tempfile.gettempdir(): what is written into the folder is gone with the replica",
    )
    return Result(probe=probe, outcome=outcome, seconds=0.0)


def _stamp_files(folder: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for path in list_files(folder):
        status = (folder / path).stat()
        found[path.as_posix()] = (status.st_size, status.st_mtime_ns)
    return found
