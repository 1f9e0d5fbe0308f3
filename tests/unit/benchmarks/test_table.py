"""The tables: ratios among rows of the same load, columns that have something in them, and who is missing."""

from __future__ import annotations

from typing import Any

from beside.table import add_ratios, render, render_best, render_rows


def make_row(server: str, protocol: str, per_s: float, clients: int = 16, **more: Any) -> dict[str, Any]:
    return {"server": server, "protocol": protocol, "clients": clients, "per_s": per_s, **more}


ROWS = [
    make_row("Modelyard", "gRPC", 1200.0),
    make_row("Modelyard", "REST", 900.0),
    make_row("Other", "REST", 300.0),
    make_row("Modelyard", "gRPC", 50.0, clients=1),
    make_row("Other", "gRPC", 100.0, clients=1),
]


def make_found(**more: Any) -> dict[str, Any]:
    return {
        "title": "A text",
        "rounds": 5,
        "seconds": 1.2,
        "rows": ROWS,
        "failures": {},
        "machine": {"cpu": "fast", "date": "2026-01-01"},
        "memory_idle_mb": {"Modelyard": 101.4, "Other": 99.6},
        **more,
    }


def test_both_protocols_are_divided_by_the_row_of_the_same_load() -> None:
    rows = add_ratios(ROWS)
    assert (rows[2]["grpc_ratio"], rows[2]["rest_ratio"]) == (4.0, 3.0)
    assert rows[4]["grpc_ratio"] == 0.5
    assert "rest_ratio" not in rows[4]


def test_a_ratio_is_the_median_of_those_of_the_rounds() -> None:
    ours = make_row("Modelyard", "gRPC", 100.0, rounds_per_s=[100.0, 10.0, 400.0])
    other = make_row("Other", "gRPC", 50.0, rounds_per_s=[50.0, 10.0, 100.0])
    assert add_ratios([ours, other])[1]["grpc_ratio"] == 2.0
    assert render_best([ours, other]) == ["- Best door against best door, at once 16: Other 2.00."]


def test_our_own_rows_have_no_ratio() -> None:
    assert not [row for row in add_ratios(ROWS) if row["server"] == "Modelyard" and "grpc_ratio" in row]


def test_a_server_that_answered_nothing_has_no_ratio() -> None:
    assert "grpc_ratio" not in add_ratios([ROWS[0], make_row("Dead", "gRPC", 0.0)])[1]


def test_a_table_has_the_columns_that_a_row_has() -> None:
    lines = render_rows([make_row("Other", "REST", 1234.0), make_row("Third", "REST", 12.25, p50_ms=150.0)])
    assert lines[0] == "| server | protocol | at once | per second | p50 ms |"
    assert lines[2:] == ["| Other | REST | 16 | 1,234 |  |", "| Third | REST | 16 | 12.2 | 150 |"]


def test_the_page_names_who_is_missing_and_why_with_versions_and_the_limit_of_the_load() -> None:
    found = make_found(
        failures={"Third": "does not install: no wheel\nmore"},
        versions={"Other": "other 1.2", "Other, twice": "other 1.2"},
        ceiling=[{"server": "nghttpd", "protocol": "gRPC", "per_s": 73254.0}],
    )
    page = render({"unary": found})
    assert "Missing: Third: does not install: no wheel\n" in page
    assert "Peers: other 1.2." in page
    assert "73,254/s against nghttpd" in page
    assert "| Other | REST | 16 | 300 | 4.00 | 3.00 | 100 |" in page


def test_the_best_door_of_each_server_is_compared_for_each_load() -> None:
    rows = [*ROWS, make_row("Other", "gRPC", 400.0)]
    assert render_best(rows) == [
        "- Best door against best door, at once 16: Other 3.00.",
        "- Best door against best door, at once 1: Other 0.50.",
    ]
