"""Read a file of alert rules (TOML), and say of what cannot be meant where it stands and how to mend it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from graph.errors import UserError
from streams.alerts.moment import Quantity
from streams.alerts.quiet_hours import QuietHours
from streams.alerts.ranking import stored_ranker
from streams.alerts.records import Severity
from streams.alerts.rule_fields import FieldError, Fields, line_of
from streams.alerts.rule_ranker import FindRanker, ranker_for
from streams.alerts.rules import Condition, Rule, RuleSet

MAX_RULES: Final = 100
"""Each is looked at with every forecast, and names a time series."""

FILE_KEYS: Final = (
    "cap_per_hour", "quiet_hours", "time_zone", "population_hours", "population_minimum", "ranker", "rule",
)  # fmt: skip

LASTING: Final = {
    "expected": Quantity.EXPECTED,
    "lower_bound": Quantity.LOW,
    "probability": Quantity.PROBABILITY,
    "top_probability": Quantity.TOP_PROBABILITY,
    "top_share": Quantity.TOP_SHARE,
    "growth_per_hour": Quantity.GROWTH,
    "observed_per_hour": Quantity.RATE,
    "acceleration": Quantity.ACCELERATION,
    "importance": Quantity.IMPORTANCE,
}
"""Conditions that rise and fall: an open alert is resolved when they no longer hold, with some room."""

LEVELS: Final = {"probability": "reaches", "top_probability": "ends_in_top"}
"""Of what a probability is."""

OPENING: Final = {
    "followers": (Quantity.FOLLOWERS, False),
    "most_followers": (Quantity.FOLLOWERS, True),
    "observed": (Quantity.OBSERVED, False),
    "most_observed": (Quantity.OBSERVED, True),
    "age": (Quantity.AGE, False),
    "most_age": (Quantity.AGE, True),
}
"""Conditions of opening alone."""

RULE_KEYS: Final = (
    "name", "description", "severity", "labels", *LASTING, "reaches", "ends_in_top", *OPENING, "sources", "languages",
    "resolve_factor", "resolve", "cool_down", "update_factor", "ignores_quiet_hours", "ignores_cap",
)  # fmt: skip

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LABEL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
"""What Prometheus and Alertmanager take."""

DEFAULT_RESOLVE_FACTOR: Final = 0.7
"""Forecasts of one post wander by a fifth; an alert must not flap with them."""

DEFAULT_UPDATE_FACTOR: Final = 1.5


class RulesError(UserError):
    """A file of rules cannot be read, or says what cannot be meant."""


def load_rules(path: Path, horizon_seconds: float | None = None, models_dir: Path | None = None) -> RuleSet:
    """The rules of a file, with the ranker they ask for, which must be one for ``horizon_seconds`` where that is given.
    It is looked for in ``models_dir``, or in the user's store.

    Raises RulesError with file, line, what is wrong and the mend.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise RulesError(f"{path}: cannot read the rules: {error.strerror}; name a file that can be read") from None
    except UnicodeDecodeError as error:
        raise RulesError(f"{path}: not valid TOML: not UTF-8 at byte {error.start + 1}; save it as UTF-8") from None
    return parse_rules(text, str(path), horizon_seconds, partial(stored_ranker, models_dir=models_dir))


def parse_rules(
    text: str, name: str, horizon_seconds: float | None = None, find: FindRanker = stored_ranker
) -> RuleSet:
    """The rules of a file's text; ``name`` is told in errors."""
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
        raise RulesError(f"{name}: not valid TOML: {error}; docs/alerts.md shows the form") from None
    try:
        return _rule_set(document, horizon_seconds, find)
    except FieldError as error:
        raise RulesError(f"{name}:{line_of(text, error.table, error.key)}: {error}") from None


def _rule_set(document: dict[str, Any], horizon_seconds: float | None, find: FindRanker) -> RuleSet:
    fields = Fields(document, FILE_KEYS, "the file")
    tables = document.get("rule", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise fields.wrong("rule", "rule is no list of tables", "begin each rule with [[rule]]")
    rules: dict[str, Rule] = {}
    for number, table in enumerate(tables):
        own = Fields(table, RULE_KEYS, f"rule {number + 1}", number)
        rule = _rule(own)
        if rule.name in rules:
            raise own.wrong("name", f"there is another rule {rule.name!r}", "give each a name of its own")
        rules[rule.name] = rule
        if len(rules) > MAX_RULES:
            raise own.wrong("name", f"it is one more than the {MAX_RULES} there may be", "join some of them")
    return RuleSet(
        tuple(rules.values()),
        fields.number("cap_per_hour", above=0.0),
        _quiet_hours(fields),
        3600.0 * (fields.number("population_hours", above=0.0, most=168.0) or 24.0),
        int(fields.number("population_minimum", least=1.0, most=1e9) or 200),
        ranker_for(fields, list(rules.values()), horizon_seconds, find),
    )


def _quiet_hours(fields: Fields) -> QuietHours | None:
    spans, zone = fields.texts("quiet_hours"), fields.text("time_zone")
    if spans is None:
        if zone is not None:
            raise fields.wrong("time_zone", "time_zone is of no use without quiet_hours", "add them, or leave it out")
        return None
    try:
        QuietHours.parse((), zone or "UTC")
    except ValueError as error:
        raise FieldError(None, "time_zone", str(error)) from None
    try:
        return QuietHours.parse(spans, zone or "UTC")
    except ValueError as error:
        raise FieldError(None, "quiet_hours", str(error)) from None


def _rule(fields: Fields) -> Rule:
    name = fields.text("name")
    if name is None:
        raise fields.wrong("name", "it has no name", 'add name = "..."')
    if not _NAME.fullmatch(name):
        raise fields.wrong(
            "name", f"{name!r:.80} is no name", "give 1 to 64 letters, digits, dots, dashes or underscores"
        )
    labels = fields.labels("labels")
    if wrong := [key for key in labels if not _LABEL.fullmatch(key)]:
        raise fields.wrong("labels", f"{wrong[0]!r:.80} is no name of a label", "give letters, digits and underscores")
    conditions = _lasting(fields) + _opening(fields)
    if not conditions:
        offered = ", ".join((*LASTING, *OPENING))
        raise fields.wrong(
            "name", f"{name!r} has no condition and would open an alert for every post", f"add {offered}"
        )
    sources, languages = fields.texts("sources"), fields.texts("languages")
    update = fields.number("update_factor", above=1.0)
    return Rule(
        name,
        tuple(conditions),
        Severity(fields.choice("severity", [one.value for one in Severity]) or Severity.WARNING),
        fields.text("description") or "",
        None if sources is None else frozenset(sources),
        None if languages is None else frozenset(languages),
        labels,
        fields.seconds("cool_down") or 0.0,
        DEFAULT_UPDATE_FACTOR if update is None else update,
        fields.flag("ignores_quiet_hours"),
        fields.flag("ignores_cap"),
    )


def _lasting(fields: Fields) -> list[Condition]:
    bounds = _bounds(fields)
    own = fields.table("resolve")
    if own is not None and "resolve_factor" in fields:
        raise fields.wrong("resolve_factor", "resolve and resolve_factor exclude each other", "leave one of them out")
    keep = None if own is None else _bounds(fields.within("resolve", own, tuple(LASTING)))
    factor = fields.number("resolve_factor", above=0.0, most=1.0) or DEFAULT_RESOLVE_FACTOR
    levels = {"probability": fields.number("reaches", above=0.0)}
    levels["top_probability"] = fields.number("ends_in_top", above=0.0, most=1.0)
    for one, other in LEVELS.items():
        if (one in fields) != (other in fields):
            there, missing = (one, other) if one in fields else (other, one)
            raise fields.wrong(there, f"{there} is of no use without {missing}", f"add {missing} or leave {there} out")
    found = []
    for key, bound in bounds.items():
        at_most = key == "top_share"
        if keep is None:
            kept: float | None = min(1.0, bound / factor) if at_most else bound * factor
        else:
            kept = keep.pop(key, None)
            if kept is not None and (kept < bound if at_most else kept > bound):
                side = "below" if at_most else "above"
                raise fields.wrong("resolve", f"resolve has {key} {side} the rule's own", "it must leave some room")
        found.append(Condition(LASTING[key], bound, kept, at_most, levels.get(key) or _NONE))
    if keep:
        raise fields.wrong(
            "resolve", f"resolve has {min(keep)}, which is no condition of the rule", "add it, or leave it"
        )
    return found


_NONE: Final = float("nan")


def _bounds(fields: Fields) -> dict[str, float]:
    """The bounds that are given, by key."""
    limits: dict[str, Callable[[str], float | None]] = {
        key: (lambda name: fields.number(name, above=0.0)) for key in LASTING
    }
    for key in (*LEVELS, "top_share"):
        limits[key] = lambda name: fields.number(name, above=0.0, most=1.0)
    found = {key: read(key) for key, read in limits.items()}
    return {key: value for key, value in found.items() if value is not None}


def _opening(fields: Fields) -> list[Condition]:
    found = []
    for key, (quantity, at_most) in OPENING.items():
        value = fields.seconds(key) if quantity is Quantity.AGE else fields.number(key, least=0.0)
        if value is not None:
            found.append(Condition(quantity, value, None, at_most))
    return found
