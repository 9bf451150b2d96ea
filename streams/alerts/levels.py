"""The sizes at which rules decide: near them another forecast may open an alert, or end one."""

from __future__ import annotations

from typing import Final

from streams.alerts.journal import Journal
from streams.alerts.moment import Quantity
from streams.alerts.rules import RuleSet
from streams.alerts.standings import Phase

_SIZES: Final = frozenset({Quantity.EXPECTED, Quantity.LOW, Quantity.PROBABILITY, Quantity.OBSERVED})


def levels_of(rules: RuleSet) -> tuple[float, ...]:
    """The sizes that conditions ask for, observed or expected, in ascending order."""
    found = {
        one.level if one.quantity is Quantity.PROBABILITY else one.bound
        for rule in rules.rules
        for one in rule.conditions
        if one.quantity in _SIZES
    }
    return tuple(sorted(found))


def has_open(journal: Journal, cascade: str) -> bool:
    """Whether a post has an open alert."""
    return any(standing.phase is Phase.OPEN for standing in journal.now.of(cascade).values())
