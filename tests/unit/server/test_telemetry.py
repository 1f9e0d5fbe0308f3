from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from modelyard.errors import InternalError
from modelyard.server.telemetry.exposition import render
from modelyard.server.telemetry.requests import GONE, UPLOAD, Requests, Stopwatch, peek_code
from modelyard.server.telemetry.series import MAX_SERIES, OTHER, Counters, Family, Gauges, Histograms
from modelyard.server.telemetry.telemetry import MAX_VERSIONS, Telemetry, VersionMeter
from modelyard.wire.messages import MultiOutputResponse, Output, Status
from modelyard.wire.stats import BOUNDS, Stats


def read(*families: Family) -> dict[str, list[tuple[str, dict[str, str], float]]]:
    """As Prometheus' own parser reads the page: samples by family."""
    page = render(families).decode()
    return {
        one.name: [(sample.name, sample.labels, sample.value) for sample in one.samples]
        for one in text_string_to_metric_families(page)
    }


@given(st.lists(st.tuples(st.text(max_size=20), st.integers(1, 9)), max_size=8))
def test_any_label_arrives_as_it_was(counted: list[tuple[str, int]]) -> None:
    family = Counters("m_total", "A \\ sentence\nof two lines.", ("model",))
    wanted: dict[str, float] = {}
    for label, amount in counted:
        family.add((label,), amount)
        wanted[label] = wanted.get(label, 0) + amount
    samples = read(family).get("m", [])
    assert {labels["model"]: value for _, labels, value in samples} == wanted


@given(st.lists(st.floats(0, 100), max_size=30))
def test_buckets_of_a_histogram_are_cumulative_and_end_with_all(values: list[float]) -> None:
    family = Histograms("h", "Seconds.", ("method",))
    for value in values:
        family.of(("a",)).observe(value)
    samples = read(family)["h"]
    buckets = [(float(labels["le"]), value) for name, labels, value in samples if name == "h_bucket"]
    assert buckets == [(bound, sum(one <= bound for one in values)) for bound, _ in buckets]
    if values:
        assert buckets[-1] == (float("inf"), len(values))
        assert {name: value for name, _, value in samples}["h_sum"] == pytest.approx(sum(values))


def test_labels_beyond_the_limit_are_counted_together() -> None:
    family = Counters("m_total", "Many.", ("model",))
    for number in range(MAX_SERIES + 5):
        family.add((f"{number}",))
    values = {labels["model"]: value for _, labels, value in read(family)["m"]}
    assert len(values) == MAX_SERIES + 1
    assert values[OTHER] == 5


def count(requests: Requests, method: str, code: int, *model: str) -> None:
    watch = Stopwatch(requests, method)
    if model:
        watch.model = (model[0], model[1], model[2])
    watch.stop(code)


def test_request_of_a_model_is_counted_once_and_shown_by_method_and_by_model() -> None:
    requests = Requests()
    count(requests, "PostModelOutputs", 10000, "ada", "main", "m")
    count(requests, "PostModelOutputs", 10000, "ada", "main", "n")
    count(requests, "PostModelOutputs", 21200)
    count(requests, "PostModelOutputs", GONE, "ada", "main", "n")
    samples = read(*requests.list_families())
    by_code = {labels["code"]: value for _, labels, value in samples["modelyard_requests"]}
    assert by_code == {"10000": 2, "21200": 1, "gone": 1}
    by_model = {(one["model"], one["code"]): value for _, one, value in samples["modelyard_model_requests"]}
    assert by_model == {("ada/main/m", "10000"): 1, ("ada/main/n", "10000"): 1, ("ada/main/n", "gone"): 1}
    counts = [value for name, _, value in samples["modelyard_request_seconds"] if name.endswith("_count")]
    assert counts == [4]


def test_codes_and_models_that_callers_and_authors_make_up_are_counted_together() -> None:
    requests = Requests()
    for number in range(MAX_SERIES + 5):
        count(requests, "PostModelOutputs", number, "ada", "main", "m")
    for number in range(MAX_SERIES + 5):
        count(requests, "PostModelOutputs", 1, "ada", "main", f"{number}")
    samples = read(*requests.list_families())
    assert {one["code"]: value for _, one, value in samples["modelyard_model_requests"]}[OTHER] > 5
    models = {one["model"] for _, one, _ in samples["modelyard_model_request_seconds"]}
    assert len(models) <= MAX_SERIES + 1
    assert OTHER in models


def test_upload_is_timed_by_its_code_too() -> None:
    requests = Requests()
    count(requests, UPLOAD, 10000)
    samples = read(*requests.list_families())["modelyard_upload_seconds"]
    assert [one["code"] for name, one, _ in samples if name.endswith("_count")] == ["10000"]


def test_versions_beyond_the_limit_share_a_meter() -> None:
    telemetry = Telemetry()
    meters = [telemetry.meter_of(f"v{number}") for number in range(MAX_VERSIONS + 2)]
    assert meters[-1] is meters[-2]
    assert len(list(telemetry.list_meters())) == MAX_VERSIONS + 1


def test_gauges_without_labels_have_no_braces() -> None:
    assert b"\nmemory 12\n" in render([Gauges("memory", "Bytes.", (), [((), 12)])])


@given(st.integers(0, 2**31 - 1), st.text(max_size=300), st.text(max_size=20000))
def test_code_of_a_serialised_answer_is_read_without_parsing_it(code: int, description: str, text: str) -> None:
    answer = MultiOutputResponse(status=Status(code=code, description=description), outputs=[Output(id=text)])
    assert peek_code(answer.SerializeToString()) == code


@given(st.binary(max_size=60))
@example(b"\n\x80\x80\x80\x80")
def test_any_bytes_have_a_code(payload: bytes) -> None:
    assert peek_code(payload) >= 0


def make_stats(count: int) -> Stats:
    stats = Stats()
    for name in BOUNDS:
        stats.counts[name][0] = count
        stats.totals[name] = count * 0.5
    stats.made["outputs"] = count
    return Stats.decode(stats.encode())


def test_what_a_worker_counted_is_added_once() -> None:
    meter = VersionMeter()
    for count in (3, 3, 5):
        meter.take("r1", make_stats(count))
    meter.take("r2", make_stats(2))
    assert meter.of_worker["predict_s"].counts[0] == 7
    assert meter.of_worker["predict_s"].total == 3.5
    assert meter.made["outputs"] == 7


def test_worker_that_counts_backwards_has_nothing_new() -> None:
    meter = VersionMeter()
    meter.take("r1", make_stats(5))
    meter.take("r1", make_stats(1))
    assert meter.of_worker["predict_s"].counts[0] == 5
    assert meter.made["outputs"] == 5


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        Stats().encode().replace(b"[0,", b"[-1,", 1),
        Stats().encode().replace(b"[0, ", b"[", 1),
        Stats().encode().replace(b"0.0", b"NaN", 1),
        Stats().encode().replace(b"0.0", b"1e999", 1),
    ],
)
def test_numbers_that_are_none_are_refused(payload: bytes) -> None:
    with pytest.raises(InternalError):
        Stats.decode(payload)
