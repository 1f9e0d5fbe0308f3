"""Results as Markdown: a table for each scenario, with Modelyard against every other, and what it holds for."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from beside.endpoint import GRPC, REST

OURS = "Modelyard"
HEAD = """\
# Side by side

Made by `script/bench` ([how it is measured, and what is inside each path](../README.md)). All servers of a table were
up on the same core in one run and took turns, round by round; a number is the median of {rounds} rounds. `gRPC x` and
`REST x` are Modelyard's requests/s over that protocol divided by the row's, in each round, and the median of that.
`load core` is how busy the load generator
was at most. Memory is the server's whole tree of processes with the model loaded, before the first measured request;
pages that processes share are counted once.
"""
GROUP = ("clients", "connections", "size_bytes", "replicas", "models", "model")
COLUMNS = {
    "server": "server",
    "protocol": "protocol",
    "model": "model",
    "models": "models",
    "replicas": "replicas",
    "size_bytes": "bytes",
    "clients": "at once",
    "connections": "connections",
    "per_s": "per second",
    "grpc_ratio": "gRPC x",
    "rest_ratio": "REST x",
    "of_ideal": "of ideal",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "failed": "failed",
    "memory_mb": "memory MB",
    "load_core": "load core",
    "after_yield_p50_ms": "from yield, p50 ms",
    "after_yield_p99_ms": "p99 ms",
    "after_request_p50_ms": "from request, p50 ms",
}
LEFT = {"server", "protocol", "model"}
SHARES = {"of_ideal", "load_core"}


def render(report: Mapping[str, Any]) -> str:
    """The page of all scenarios."""
    rounds = sorted({found["rounds"] for found in report.values()})
    parts = [HEAD.format(rounds=" or ".join(str(one) for one in rounds))]
    parts += [render_scenario(found) for found in report.values()]
    return "\n".join(parts)


def render_scenario(found: Mapping[str, Any]) -> str:
    """One scenario: its table, who is missing and why, machine, date and versions."""
    rows = add_ratios(found["rows"])
    memory = found.get("memory_idle_mb", {})
    rows = [{**row, "memory_mb": memory[row["server"]]} if row.get("server") in memory else row for row in rows]
    lines = [f"## {found['title']}", "", *render_rows(rows)]
    lines += ["", *render_best(found["rows"])]
    if "first_message" in found:
        lines += ["", "The first message of a stream, one call at a time:", "", *render_rows(found["first_message"])]
    for one in found.get("ceiling", []):
        lines += ["", f"The load's own limit over {one['protocol']}: {one['per_s']:,.0f}/s against {one['server']}."]
    for name, reason in found["failures"].items():
        lines += ["", f"Missing: {name}: {reason.splitlines()[0][:200]}"]
    lines += ["", *render_facts(found), ""]
    return "\n".join(lines)


def render_best(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Our better door against the better one of each other, for every load of the table."""
    best: dict[tuple[Any, ...], dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        if "server" in row:
            servers = best.setdefault(_group(row), {})
            servers[row["server"]] = max(servers.get(row["server"], row), row, key=lambda one: one["per_s"])
    lines = []
    for group, servers in best.items():
        ours = servers.pop(OURS, None)
        load = "".join(f", {COLUMNS[name]} {value}" for name, value in zip(GROUP, group, strict=True) if value)
        found = {name: ours and _divide(ours, row) for name, row in servers.items()}
        ratios = [f"{name} {_show('_ratio', ratio)}" for name, ratio in found.items() if ratio]
        if ratios:
            lines.append(f"- Best door against best door{load}: {', '.join(ratios)}.")
    return lines


def render_facts(found: Mapping[str, Any]) -> list[str]:
    """Machine, versions, and the growth of memory."""
    machine = ", ".join(f"{name} {value}" for name, value in found["machine"].items())
    lines = [f"{found['rounds']} rounds of {found['seconds']:g} s. {machine}."]
    if found.get("versions"):
        lines.append(f"Peers: {', '.join(dict.fromkeys(found['versions'].values()))}.")
    after = found.get("memory_after_mb", {})
    if after:
        lines.append(f"Memory afterwards, MB: {', '.join(f'{name} {value:.0f}' for name, value in after.items())}.")
    return lines


def add_ratios(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Modelyard's rate over each protocol, divided by the row's, among rows of the same load: the median of what each
    round says, since what else the machine does moves both."""
    ours: dict[tuple[Any, str], Mapping[str, Any]] = {}
    for row in rows:
        if row.get("server") == OURS:
            ours[_group(row), row["protocol"]] = row
    found = []
    for row in rows:
        more = dict(row)
        for key, protocol in (("grpc_ratio", GRPC), ("rest_ratio", REST)):
            own = ours.get((_group(row), protocol))
            ratio = _divide(own, row) if own and row["server"] != OURS else None
            if ratio is not None:
                more[key] = ratio
        found.append(more)
    return found


def _divide(ours: Mapping[str, Any], row: Mapping[str, Any]) -> float | None:
    """The median over rounds of how much more of ours there were; None where a round had none of the other's."""
    rates = _list_rates(row)
    return statistics.median(a / b for a, b in zip(_list_rates(ours), rates, strict=True)) if all(rates) else None


def _list_rates(row: Mapping[str, Any]) -> list[float]:
    """Of each round."""
    rates: list[float] = row.get("rounds_per_s") or [row["per_s"]]
    return rates


def _group(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in GROUP)


def render_rows(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A Markdown table of the columns that any row has."""
    names = [name for name in COLUMNS if any(name in row for row in rows)]
    head = f"| {' | '.join(COLUMNS[name] for name in names)} |"
    rule = "|" + "|".join("---" if name in LEFT else "---:" for name in names) + "|"
    body = [f"| {' | '.join(_show(name, row.get(name)) for name in names)} |" for row in rows]
    return [head, rule, *body]


def _show(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name in SHARES:
        return f"{value:.0%}"
    if name.endswith("_ratio"):
        return f"{value:.2f}" if value < 9.95 else f"{value:.0f}"
    if name in ("per_s", "size_bytes"):
        return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
    if name.endswith("_ms"):
        return f"{value:.2f}" if value < 100 else f"{value:.0f}"
    return f"{value:.0f}" if isinstance(value, float) else str(value)
