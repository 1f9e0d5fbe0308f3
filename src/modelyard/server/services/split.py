"""Which version gets the next request, where several share them: by weight, in turn and not by chance."""

from __future__ import annotations

from collections.abc import Iterable

from modelyard.server.records import HeaderRule, Share

Headers = Iterable[tuple[bytes, bytes]]


class Split:
    """Shares out requests smoothly: with 90 and 10, every tenth one goes to the second, not ten in a row after ninety.

    Each version's credit grows by its weight; the one with the most is chosen, and pays the sum of all.
    """

    def __init__(self, shares: Iterable[Share]) -> None:
        self._weights = {one.version_id: one.weight for one in shares if one.weight > 0}
        self._credit = dict.fromkeys(self._weights, 0)
        self._total = sum(self._weights.values())

    def choose(self) -> str:
        """The version of the next request."""
        credit = self._credit
        best = ""
        for version_id, weight in self._weights.items():
            credit[version_id] += weight
            if not best or credit[version_id] > credit[best]:
                best = version_id
        credit[best] -= self._total
        return best


def match_rule(rules: Iterable[HeaderRule], headers: Headers) -> str:
    """The version that a header of the request asks for; empty where none does."""
    sent = {name.lower(): value for name, value in headers}
    for rule in rules:
        if sent.get(rule.header.encode("ascii")) == rule.value.encode("latin-1", "replace"):
            return rule.version_id
    return ""
