"""Which charts the documents show, made from results/peers.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from beside.chart import Bar, draw_bars, draw_lines

OURS = "Modelyard"


def draw_all(report: Mapping[str, Any]) -> dict[str, str]:
    """SVG by file name, of what was measured."""
    found = {}
    for name, (draw, scenario) in CHARTS.items():
        if scenario in report:
            found[name] = draw(report[scenario])
    return found


def _bars_of(found: Mapping[str, Any], clients: int | None = None) -> list[Bar]:
    rows = [row for row in found["rows"] if clients is None or row["clients"] == clients]
    rows.sort(key=lambda row: -row["per_s"])
    return [
        Bar(name=f"{row['server']} {row['protocol']}", value=row["per_s"], is_ours=row["server"] == OURS)
        for row in rows
    ]


def draw_unary(found: Mapping[str, Any]) -> str:
    clients = found["rows"][0]["clients"]
    title = f"Requests a second: a text of 100 bytes, {clients} clients, one core"
    return draw_bars(title, "all of a server's processes on one core; longer is better", _bars_of(found))


def draw_streaming(found: Mapping[str, Any]) -> str:
    title = "Messages a second: 16 streams of short messages, one core"
    return draw_bars(title, "server-streaming; longer is better", _bars_of(found, 16))


def draw_batching(found: Mapping[str, Any]) -> str:
    title = "Requests a second: batches of a model of 5 ms and 0.1 ms for each input, 64 clients"
    return draw_bars(title, "batches of at most 32: no server can do more than 3,902", _bars_of(found, 64))


def draw_sizes(found: Mapping[str, Any]) -> str:
    sizes = list(dict.fromkeys(row["size_bytes"] for row in found["rows"]))
    series: dict[str, list[float | None]] = {}
    for row in found["rows"]:
        line = series.setdefault(f"{row['server']} {row['protocol']}", [None] * len(sizes))
        line[sizes.index(row["size_bytes"])] = row["per_s"]
    names = [show_size(size) for size in sizes]
    return draw_lines("Requests a second by size of the payload, 8 clients", "one core", names, series, is_log=True)


def draw_models(found: Mapping[str, Any]) -> str:
    names = [f"{row['models']} models" if row["models"] > 1 else "1 model" for row in found["rows"]]
    series = {"Modelyard REST": [row["per_s"] for row in found["rows"]]}
    return draw_lines("Requests a second by number of models asked in turn", "one core, 16 clients", names, series)


def draw_replicas(found: Mapping[str, Any]) -> str:
    counts = list(dict.fromkeys(row["replicas"] for row in found["rows"]))
    series: dict[str, list[float | None]] = {}
    for row in found["rows"]:
        series.setdefault(row["model"], [None] * len(counts))[counts.index(row["replicas"])] = row["per_s"]
    names = [f"{count} replicas" if count > 1 else "1 replica" for count in counts]
    return draw_lines("Requests a second by number of replicas", "one core, 64 clients", names, series)


def show_size(size_bytes: int) -> str:
    if size_bytes >= 1024 * 1024:
        return f"{size_bytes // 1024 // 1024} MiB"
    return f"{size_bytes // 1024} KiB" if size_bytes >= 1024 else f"{size_bytes} B"


CHARTS = {
    "unary.svg": (draw_unary, "unary-64"),
    "streaming.svg": (draw_streaming, "streaming"),
    "batching.svg": (draw_batching, "batching"),
    "sizes.svg": (draw_sizes, "sizes"),
    "models.svg": (draw_models, "models"),
    "replicas.svg": (draw_replicas, "replicas"),
}
