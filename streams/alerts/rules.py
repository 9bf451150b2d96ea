"""The rules in force: what opens an alert, what keeps it open, and how often people are told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import msgspec
import xxhash

from graph import CascadeView
from streams.alerts.moment import OF_POST, Moment, Post, Quantity, importance_of
from streams.alerts.quiet_hours import QuietHours
from streams.alerts.ranking import RuleRanker
from streams.alerts.records import Severity

COSTS: Final = {Quantity.RATE: 1, Quantity.ACCELERATION: 1, Quantity.TOP_PROBABILITY: 2}
"""Conditions that look at every reshare are asked last."""

SEVERITY_ORDER: Final = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}


@dataclass(frozen=True, slots=True)
class Condition:
    """A bound on one quantity. ``keep`` is the bound for an alert that is open; None: it only decides on opening."""

    quantity: Quantity
    bound: float
    keep: float | None
    at_most: bool = False
    level: float = math.nan  # of a probability: the size to be reached, or the top share

    def opens(self, moment: Moment) -> bool:
        """Whether it holds; what is not known does not."""
        return self.holds(moment.value(self.quantity, self.level))

    def holds(self, value: float) -> bool:
        """Whether a value of the quantity is within the bound."""
        return value <= self.bound if self.at_most else value >= self.bound

    def keeps(self, moment: Moment) -> bool:
        """Whether an open alert stays open for its part; what is not known ends nothing."""
        if self.keep is None:
            return True
        value = moment.value(self.quantity, self.level)
        return not (value > self.keep if self.at_most else value < self.keep)

    def found(self, moment: Moment) -> str:
        """What was found, where no field of the forecast tells it: of the ranker's probability."""
        if self.quantity is not Quantity.TOP_PROBABILITY:
            return ""
        return f" ({moment.value(self.quantity, self.level):.3g})"

    def sentence(self, *, keeping: bool = False) -> str:
        """In words, such as "expected size at least 5,000"."""
        bound = self.keep if keeping and self.keep is not None else self.bound
        return self.quantity.words(bound, self.level, at_most=self.at_most)


@dataclass(frozen=True)
class Rule:
    """One rule of the file. All conditions must hold to open an alert."""

    name: str
    conditions: tuple[Condition, ...]
    severity: Severity = Severity.WARNING
    description: str = ""
    sources: frozenset[str] | None = None
    languages: frozenset[str] | None = None
    labels: dict[str, str] = field(default_factory=dict)
    cool_down_seconds: float = 0.0
    update_factor: float = 1.5  # expected size over the one last told
    ignores_quiet_hours: bool = False
    ignores_cap: bool = False

    @cached_property
    def cheapest_first(self) -> tuple[Condition, ...]:
        """The conditions, the costly ones last: most posts fail one of the others."""
        return tuple(sorted(self.conditions, key=lambda condition: COSTS.get(condition.quantity, 0)))

    @cached_property
    def of_post(self) -> tuple[Condition, ...]:
        """The conditions that a post fulfils or not whatever is forecast of it."""
        return tuple(condition for condition in self.cheapest_first if condition.quantity in OF_POST)

    def concerns(self, view: CascadeView) -> bool:
        """Whether the post's source and language are among those it names."""
        return (self.sources is None or view.root_source in self.sources) and (
            self.languages is None or view.root_lang in self.languages
        )

    def may_open(self, post: Post) -> bool:
        """Whether there is a forecast with which the post would fulfil all of it."""
        return self.concerns(post.view) and all(one.holds(post.value(one.quantity)) for one in self.of_post)

    def opens(self, moment: Moment) -> bool:
        """Whether the post fulfils all of it."""
        return self.concerns(moment.view) and all(condition.opens(moment) for condition in self.cheapest_first)

    def failing(self, moment: Moment) -> Condition | None:
        """The first condition by which an open alert does not stay open."""
        return next((condition for condition in self.conditions if not condition.keeps(moment)), None)

    def importance(self, moment: Moment) -> float:
        """Among candidates for few alerts, the greater goes first; see `importance_of`."""
        return importance_of(moment.forecast) + 3.0 * (2 - SEVERITY_ORDER[self.severity])

    def reason(self, moment: Moment) -> str:
        """What an alert says of why it was opened."""
        return "; ".join(condition.sentence() + condition.found(moment) for condition in self.conditions)


@dataclass(frozen=True)
class RuleSet:
    """All rules of a file and what they share."""

    rules: tuple[Rule, ...] = ()
    cap_per_hour: float | None = None  # alerts opened in an hour of event time, over all partitions
    quiet_hours: QuietHours | None = None
    population_seconds: float = 86_400.0
    population_minimum: int = 200
    ranker: RuleRanker | None = None  # where a rule asks for its probability

    @cached_property
    def by_severity(self) -> tuple[Rule, ...]:
        """The gravest first: where one post fulfils several, they get what the cap leaves in this order."""
        return tuple(sorted(self.rules, key=lambda rule: SEVERITY_ORDER[rule.severity]))

    @cached_property
    def names(self) -> frozenset[str]:
        """Of all rules."""
        return frozenset(rule.name for rule in self.rules)

    @cached_property
    def ranks_populations(self) -> bool:
        """Whether any rule asks how a post stands among others of its source."""
        return any(one.quantity is Quantity.TOP_SHARE for rule in self.rules for one in rule.conditions)

    @cached_property
    def digest(self) -> str:
        """Tells this set of rules from others."""
        parts = [self.cap_per_hour, str(self.quiet_hours), self.population_seconds, self.population_minimum]
        parts += [self.ranker.key] if self.ranker is not None else []
        return xxhash.xxh3_64_hexdigest(msgspec.json.encode([*parts, *map(_plain, self.rules)]))


def _plain(rule: Rule) -> Sequence[object]:
    conditions = [(one.quantity, one.bound, one.keep, one.at_most, str(one.level)) for one in rule.conditions]
    chosen = [sorted(names) if names is not None else None for names in (rule.sources, rule.languages)]
    more = (rule.cool_down_seconds, rule.update_factor, rule.ignores_quiet_hours, rule.ignores_cap)
    return [rule.name, rule.severity, conditions, *chosen, rule.labels, *more]


class RuleBook:
    """The rules in force; replaced whole when the file changes, from any thread."""

    def __init__(self, rules: RuleSet | None = None) -> None:
        self.current = rules if rules is not None else RuleSet()
