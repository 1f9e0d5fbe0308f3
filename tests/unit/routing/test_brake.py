from __future__ import annotations

from modelyard.server.routing.brake import FREE, PAUSE_S, Brake


def test_refusals_are_told_at_once_until_they_are_a_storm() -> None:
    now = 0.0
    brake = Brake(clock=lambda: now)
    assert {brake.count("a") for _ in range(FREE)} == {0.0}
    assert brake.count("a") == PAUSE_S
    assert brake.count("b") == 0.0
    now = 1.0
    assert brake.count("a") == 0.0
