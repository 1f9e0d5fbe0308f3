"""What is asked of a version at one moment, and how long it had to wait: what scaling goes by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Demand:
    """Of all replicas of one version. `waited_s` and `served` only grow, until the router forgets the version."""

    replicas: int = 0
    """That take requests, free or not."""
    in_flight: int = 0
    """Requests that they hold."""
    waiting: int = 0
    """Requests that wait for a slot, or for the first replica."""
    open_streams: int = 0
    waited_s: float = 0.0
    """How long all that ever got a slot had waited for it, together."""
    served: int = 0
    """How many those are."""
    oldest_s: float = 0.0
    """How long the one that waits longest has waited."""

    @property
    def is_none(self) -> bool:
        """Is nobody there: no request, no stream?"""
        return not (self.in_flight or self.waiting or self.open_streams)
