"""Requests are shared out by weight, in turn."""

from __future__ import annotations

from collections import Counter

import pytest

from modelyard.server.records import HeaderRule, Share
from modelyard.server.services.split import Split, match_rule


def shares(**weights: int) -> list[Share]:
    return [Share(version_id=name, weight=weight) for name, weight in weights.items()]


@pytest.mark.parametrize("weights", [{"a": 90, "b": 10}, {"a": 1, "b": 1, "c": 1}, {"a": 7, "b": 5, "c": 3}])
def test_each_round_gives_each_version_its_weight(weights: dict[str, int]) -> None:
    split = Split(shares(**weights))
    for _ in range(3):
        assert Counter(split.choose() for _ in range(sum(weights.values()))) == weights


def test_the_smaller_share_comes_in_between_and_not_at_the_end() -> None:
    split = Split(shares(a=90, b=10))
    chosen = [split.choose() for _ in range(100)]
    assert max(len(run) for run in "".join(chosen).split("b")) <= 10


def test_a_weight_of_nothing_gets_nothing() -> None:
    split = Split(shares(a=1, b=0))
    assert {split.choose() for _ in range(10)} == {"a"}


def test_the_first_rule_that_fits_decides() -> None:
    rules = [HeaderRule(header="x-group", value=value, version_id=value) for value in ("beta", "staff")]
    assert match_rule(rules, [(b"X-Group", b"staff")]) == "staff"
    assert match_rule(rules, [(b"x-group", b"Staff")]) == ""
    assert match_rule(rules, []) == ""
