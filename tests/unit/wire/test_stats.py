from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.wire.stats import COUNTS, SECONDS, add_up

numbers = st.lists(st.one_of(st.floats(0, 100), st.sampled_from(SECONDS)))


@given(rounds=st.lists(numbers, max_size=3))
def test_each_value_is_counted_up_to_the_first_bound_that_it_does_not_pass(rounds: list[list[float]]) -> None:
    counts, expected = [0] * (len(SECONDS) + 1), [0] * (len(SECONDS) + 1)
    for values in rounds:
        for value in values:
            expected[bisect_left(SECONDS, value)] += 1
        total = sum(values)
        assert add_up(counts, SECONDS, values) == pytest.approx(total)
    assert counts == expected


def test_whole_numbers_are_counted_too() -> None:
    counts = [0] * (len(COUNTS) + 1)
    assert add_up(counts, COUNTS, [1, 5000, 1, 3]) == 5005
    assert (counts[0], counts[2], counts[-1], sum(counts)) == (2, 1, 1, 4)
