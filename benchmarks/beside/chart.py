"""Charts of the results as SVG: small, without a library, and readable on light and on dark pages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH = 720
LABEL_WIDTH = 190
BAR_HEIGHT, GAP = 18, 8
TOP = 54
PLOT_HEIGHT = 240
LEFT, RIGHT, BOTTOM = 70, 150, 44
STYLE = """\
<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 }
.soft { fill: #59636e }
.ours { fill: #0969da } .other { fill: #8c959f }
.line { fill: none; stroke-width: 2 } .axis { stroke: #d1d9e0 }
.s0 { stroke: #0969da; fill: #0969da } .s1 { stroke: #bc4c00; fill: #bc4c00 }
.s2 { stroke: #1a7f37; fill: #1a7f37 } .s3 { stroke: #8250df; fill: #8250df }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .soft { fill: #9198a1 }
.ours { fill: #4493f8 } .other { fill: #656c76 } .axis { stroke: #3d444d }
.s0 { stroke: #4493f8; fill: #4493f8 } .s1 { stroke: #f0883e; fill: #f0883e }
.s2 { stroke: #3fb950; fill: #3fb950 } .s3 { stroke: #ab7df8; fill: #ab7df8 }
}
.line { fill: none }
</style>"""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A name, its value, and whether it is ours."""

    name: str
    value: float
    is_ours: bool = False


def draw_bars(title: str, unit: str, bars: Sequence[Bar]) -> str:
    """Horizontal bars from zero, in the order given."""
    largest = max((bar.value for bar in bars), default=0.0) or 1.0
    scale = (WIDTH - LABEL_WIDTH - 90) / largest
    parts = [_text(0, 16, title, "title"), _text(0, 34, unit, "soft")]
    for number, bar in enumerate(bars):
        y = TOP + number * (BAR_HEIGHT + GAP)
        width = max(1.0, bar.value * scale)
        kind = "ours" if bar.is_ours else "other"
        parts.append(_text(LABEL_WIDTH - 8, y + 14, bar.name, "end"))
        parts.append(f'<rect class="{kind}" x="{LABEL_WIDTH}" y="{y}" width="{width:.1f}" height="{BAR_HEIGHT}"/>')
        parts.append(_text(LABEL_WIDTH + width + 6, y + 14, show_number(bar.value)))
    return _document(title, TOP + len(bars) * (BAR_HEIGHT + GAP), parts)


def draw_lines(
    title: str, unit: str, x_names: Sequence[str], series: Mapping[str, Sequence[float | None]], *, is_log: bool = False
) -> str:
    """A line for each series over evenly spaced names; the vertical axis from zero, or of powers of ten."""
    values = [value for line in series.values() for value in line if value]
    ticks = find_ticks(min(values), max(values), is_log=is_log)
    step = (WIDTH - LEFT - RIGHT) / max(1, len(x_names) - 1)

    def place(value: float) -> float:
        return TOP + PLOT_HEIGHT * (1 - find_share(value, ticks[0], ticks[-1], is_log=is_log))

    parts = [_text(0, 16, title, "title"), _text(0, 34, unit, "soft")]
    for tick in ticks:
        y = place(tick)
        parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(LEFT - 8, y + 4, show_number(tick), "end soft"))
    for number, name in enumerate(x_names):
        parts.append(_text(LEFT + number * step, TOP + PLOT_HEIGHT + 20, name, "middle soft"))
    heights = []
    for number, (name, line) in enumerate(series.items()):
        points = [(LEFT + at * step, place(value)) for at, value in enumerate(line) if value]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline class="s{number % 4} line" points="{path}"/>')
        parts += [f'<circle class="s{number % 4}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points]
        heights.append((points[-1][1], number, name))
    for y, number, name in _spread(heights):
        parts.append(f'<rect class="s{number % 4}" x="{WIDTH - RIGHT + 12}" y="{y - 5:.1f}" width="10" height="10"/>')
        parts.append(_text(WIDTH - RIGHT + 28, y + 4, name))
    return _document(title, TOP + PLOT_HEIGHT + BOTTOM, parts)


def _spread(heights: Sequence[tuple[float, int, str]]) -> list[tuple[float, int, str]]:
    """Names of lines one below the other, each near the end of its line."""
    found: list[tuple[float, int, str]] = []
    for y, number, name in sorted(heights):
        lowest = found[-1][0] + 18 if found else y
        found.append((max(y, lowest), number, name))
    above = max(0.0, found[-1][0] - (TOP + PLOT_HEIGHT - 6)) if found else 0.0
    return [(y - above, number, name) for y, number, name in found]


def find_ticks(low: float, high: float, *, is_log: bool) -> list[float]:
    """Round numbers from at most `low` (or zero) to at least `high`."""
    if is_log:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        return [10.0**power for power in range(first, max(last, first + 1) + 1)]
    power = 10.0 ** math.floor(math.log10(high))
    step = next(one * power for one in (0.2, 0.25, 0.5, 1, 2) if high / (one * power) <= 5)
    return [number * step for number in range(math.ceil(high / step) + 1)]


def find_share(value: float, low: float, high: float, *, is_log: bool) -> float:
    """Where the value lies between low (0) and high (1)."""
    if is_log:
        return (math.log10(value) - math.log10(low)) / (math.log10(high) - math.log10(low))
    return (value - low) / (high - low)


def show_number(value: float) -> str:
    """As people write it, short."""
    return f"{value:,.0f}" if value >= 10 else f"{value:g}"


def _text(x: float, y: float, text: str, kind: str = "") -> str:
    anchor = next((f' text-anchor="{one}"' for one in ("end", "middle") if one in kind.split()), "")
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{style}{anchor}>{escape(text)}</text>'


def _document(title: str, height: float, parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img">'
    return "\n".join([head, f"<title>{escape(title)}</title>", STYLE, *parts, "</svg>", ""])
