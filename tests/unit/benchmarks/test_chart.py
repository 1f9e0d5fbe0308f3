"""The charts are well-formed, small, and say what they show."""

from __future__ import annotations

import math
from xml.etree import ElementTree as ET

import pytest
from beside.chart import Bar, draw_bars, draw_lines, find_share, find_ticks
from beside.drawing import draw_all

SVG = "{http://www.w3.org/2000/svg}"


def read(chart: str) -> ET.Element:
    return ET.fromstring(chart)


def test_bars_are_as_long_as_their_values() -> None:
    root = read(draw_bars("Title", "unit", [Bar(name="a & b", value=200, is_ours=True), Bar(name="c", value=50)]))
    widths = [float(one.attrib["width"]) for one in root.iter(f"{SVG}rect")]
    assert math.isclose(widths[0], 4 * widths[1], rel_tol=0.01)
    assert [one.attrib["class"] for one in root.iter(f"{SVG}rect")] == ["ours", "other"]
    assert "a & b" in [one.text for one in root.iter(f"{SVG}text")]


def test_lines_have_a_point_for_each_value_and_none_for_a_gap() -> None:
    root = read(draw_lines("Title", "unit", ["1", "2", "3"], {"a": [10.0, None, 30.0], "b": [1.0, 2.0, 3.0]}))
    assert len(list(root.iter(f"{SVG}circle"))) == 5


def test_names_of_lines_that_end_at_the_same_height_do_not_cover_each_other() -> None:
    root = read(draw_lines("Title", "unit", ["1", "2"], {"first": [1.0, 5.0], "second": [2.0, 5.0]}))
    heights = [float(one.attrib["y"]) for one in root.iter(f"{SVG}text") if one.text in ("first", "second")]
    assert abs(heights[0] - heights[1]) >= 18


@pytest.mark.parametrize("high", [0.7, 3.0, 9.9, 101.0, 3902.0, 87_022.0])
def test_an_axis_from_zero_covers_its_values_in_few_steps(high: float) -> None:
    ticks = find_ticks(high / 2, high, is_log=False)
    assert ticks[0] == 0
    assert ticks[-1] >= high
    assert 3 <= len(ticks) <= 7


def test_an_axis_of_powers_of_ten_covers_its_values() -> None:
    assert find_ticks(45.0, 9800.0, is_log=True) == [10, 100, 1000, 10_000]
    assert find_share(100, 10, 1000, is_log=True) == 0.5


def test_charts_suit_light_and_dark_pages_and_are_small() -> None:
    row = {"server": "Modelyard", "protocol": "gRPC", "clients": 16, "per_s": 100.0}
    charts = draw_all({"unary-64": {"rows": [row, {**row, "server": "Other", "per_s": 50.0}]}})
    assert set(charts) == {"unary.svg"}
    assert "prefers-color-scheme: dark" in charts["unary.svg"]
    assert len(charts["unary.svg"]) < 5000
