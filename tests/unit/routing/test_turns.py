from __future__ import annotations

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from modelyard.server.routing.turns import Turns

SIZE = 12
MOST = 5
"""What one thing costs at most."""
LANES = st.sampled_from("abcd")


def fill(turns: Turns[str], name: str, count: int) -> list[int]:
    return [turns.add(name, f"{name}{number}", 1) for number in range(count)]


def take_all(turns: Turns[str]) -> list[str]:
    things = []
    while (found := turns.take()) is not None:
        things.append(found[1])
    return things


def test_lanes_are_served_in_turn_and_each_in_its_order() -> None:
    turns: Turns[str] = Turns(size=SIZE)
    fill(turns, "flood", 4)
    fill(turns, "other", 2)
    assert take_all(turns) == ["flood0", "other0", "flood1", "other1", "flood2", "flood3"]


def test_lanes_may_be_passed_over() -> None:
    turns: Turns[str] = Turns(size=SIZE)
    fill(turns, "flood", 2)
    fill(turns, "other", 1)
    assert turns.take({"flood": 1}) == ("other", "other0")
    assert turns.take({"flood": 1}) is None
    assert turns.take() == ("flood", "flood0")


def test_one_lane_alone_may_fill_the_queue_and_no_more() -> None:
    turns: Turns[str] = Turns(size=3)
    for _ in range(3):
        assert turns.make_room("a", 1) == []
        fill(turns, "a", 1)
    assert turns.make_room("a", 1) is None


def test_a_full_queue_lets_a_newcomer_in_at_the_cost_of_the_newest_of_the_longest() -> None:
    turns: Turns[str] = Turns(size=4)
    fill(turns, "flood", 4)
    for expected in ("flood3", "flood2"):
        assert turns.make_room("other", 1) == [("flood", expected)]
        fill(turns, "other", 1)
    assert turns.make_room("other", 1) is None
    assert turns.make_room("flood", 1) is None
    assert turns.make_room("third", 1) == [("flood", "flood1")]


def test_what_costs_more_than_its_fair_part_is_not_let_in() -> None:
    turns: Turns[str] = Turns(size=10)
    fill(turns, "flood", 10)
    assert turns.make_room("other", 6) is None
    assert len(turns) == 10
    assert turns.make_room("other", 5) == [("flood", f"flood{number}") for number in (9, 8, 7, 6, 5)]


def test_turns_ahead_are_counted_from_the_other_lanes_too() -> None:
    turns: Turns[str] = Turns(size=SIZE)
    fill(turns, "flood", 5)
    fill(turns, "own", 2)
    assert turns.count_ahead("own", is_least=True) == 2 + 2
    assert turns.count_ahead("own", is_least=False) == 2 + 3
    assert turns.count_ahead("new", is_least=True) == 0
    assert turns.count_ahead("new", is_least=False) == 1 + 1


class AnyUse(RuleBasedStateMachine):
    """Whatever callers do, the bound holds, lanes keep their order, and nobody is passed over twice."""

    waiting = Bundle("waiting")

    def __init__(self) -> None:
        super().__init__()
        self.turns: Turns[int] = Turns(size=SIZE)
        self.model: dict[str, dict[int, tuple[int, int]]] = {name: {} for name in "abcd"}
        """By lane: number -> thing and cost, in order."""
        self.last_thing = 0
        self.passed: Counter[str] = Counter()
        """How many were served since a lane that waits was."""

    def cost_of(self, name: str) -> int:
        return sum(cost for _, cost in self.model[name].values())

    @rule(target=waiting, name=LANES, cost=st.sampled_from([1, 1, 1, 2, MOST]))
    def join(self, name: str, cost: int) -> object:
        before = {one: self.cost_of(one) for one in self.model}
        gone = self.turns.make_room(name, cost)
        if gone is None:
            longest = max(before.values())
            assert sum(before.values()) + cost > SIZE
            excess = sum(before.values()) + cost - SIZE
            assert before[name] == longest or before[name] + cost > longest - (excess + MOST - 1)
            return multiple()
        for lane, thing in gone:
            assert before[lane] == max(before.values())
            number, (newest, _) = list(self.model[lane].items())[-1]
            assert newest == thing
            del self.model[lane][number]
            assert lane != name
        self.last_thing += 1
        number = self.turns.add(name, self.last_thing, cost)
        self.model[name][number] = (self.last_thing, cost)
        return name, number

    @rule(one=consumes(waiting))
    def leave(self, one: tuple[str, int]) -> None:
        name, number = one
        self.turns.remove(name, number)
        self.model[name].pop(number, None)
        if not self.model[name]:
            self.passed.pop(name, None)

    @rule(without=st.frozensets(LANES, max_size=2))
    def serve(self, without: frozenset[str]) -> None:
        found = self.turns.take(dict.fromkeys(without, 1))
        able = [name for name, things in self.model.items() if things and name not in without]
        if found is None:
            assert not able
            return
        name, thing = found
        assert name in able
        number, (oldest, _) = next(iter(self.model[name].items()))
        assert thing == oldest
        del self.model[name][number]
        self.passed.pop(name, None)
        for other in able:
            if self.model[other] and other != name:
                self.passed[other] += 1
                assert self.passed[other] < len(self.model), f"{other} starves"

    @invariant()
    def bound_holds_and_nothing_is_left_of_those_who_went(self) -> None:
        assert self.turns.cost == sum(map(self.cost_of, self.model)) <= SIZE
        assert len(self.turns) == sum(map(len, self.model.values()))
        for name, things in self.model.items():
            assert self.turns.count(name) == len(things)

    def teardown(self) -> None:
        assert sorted(self.turns.take_all()) == sorted(
            thing for things in self.model.values() for thing, _ in things.values()
        )
        assert self.turns.take() is None
        assert self.turns.cost == len(self.turns) == 0


TestAnyUse = AnyUse.TestCase
TestAnyUse.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
