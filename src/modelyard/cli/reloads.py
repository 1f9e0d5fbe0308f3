"""One line for each save of an author who watches: what changed, what was kept, how long it took."""

from __future__ import annotations

from collections.abc import Iterable

import click

from modelyard.errors import ModelyardError
from modelyard.wire.reload import FAILED, KEPT, RESTART, Reloaded

SHOWN = 4


def describe_reload(paths: Iterable[str], told: Reloaded, elapsed_s: float) -> str:
    """What became of a save; nothing for one that the model has no part in."""
    times = f"{elapsed_s * 1000:.0f} ms"
    match told.outcome:
        case outcome if outcome == KEPT:
            what = f"{_list_some(told.changed)} changed" if told.changed else "only lines moved"
            still = f"; {told.in_flight} running requests finish in the old code" if told.in_flight else ""
            return click.style(f"reloaded in {times}: {what}; weights kept{still}", fg="green")
        case outcome if outcome == RESTART:
            return f"loading again: {told.message}"
        case outcome if outcome == FAILED:
            return click.style(f"not reloaded: {told.message}; the code before it stays", fg="red")
        case _:
            code = sorted(one for one in paths if one.endswith(".py"))
            return f"nothing to reload: the model does not use what changed in {_list_some(code)}" if code else ""


def describe_failure(error: ModelyardError, state: str) -> str:
    """A new start that failed, and what is going on nevertheless."""
    lines = [click.style(f"not loaded: {error.message}", fg="red"), *error.details.splitlines(), error.hint, state]
    return "\n  ".join(line for line in lines if line)


def _list_some(names: Iterable[str]) -> str:
    shown = list(names)
    more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
    return ", ".join(shown[:SHOWN]) + more
