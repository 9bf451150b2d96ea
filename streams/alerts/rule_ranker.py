"""Which ranker a file of rules asks for, and whether it can answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graph.durations import format_duration
from graph.errors import UserError
from streams.alerts.moment import Quantity
from streams.alerts.ranking import RuleRanker
from streams.alerts.rule_fields import FieldError, Fields
from streams.alerts.rules import Rule

FindRanker = Callable[[str], RuleRanker]


def ranker_for(
    fields: Fields, rules: Sequence[Rule], horizon_seconds: float | None, find: FindRanker
) -> RuleRanker | None:
    """The ranker whose probabilities ``rules`` ask for, as the file's ``fields`` name it; None where none does.

    Raises FieldError where there is none, or none for this horizon (where it is given) and these shares.
    """
    asked = [
        (number, condition.level)
        for number, rule in enumerate(rules)
        for condition in rule.conditions
        if condition.quantity is Quantity.TOP_PROBABILITY
    ]
    named = fields.text("ranker")
    if not asked:
        if named is not None:
            raise fields.wrong("ranker", "ranker is of no use without top_probability", "add a rule, or leave it out")
        return None
    first = asked[0][0]
    try:
        ranker = find(named or "ranker")
    except UserError as error:
        raise FieldError(None if named else first, "ranker" if named else "top_probability", str(error)) from None
    if horizon_seconds is not None and ranker.horizon_seconds != horizon_seconds:
        theirs, ours = format_duration(ranker.horizon_seconds), format_duration(horizon_seconds)
        message = f"{ranker.key} was trained for sizes at {theirs}, and the horizon is {ours}; name another ranker"
        raise FieldError(first, "top_probability", message)
    for number, share in asked:
        if share not in ranker.shares:
            known = ", ".join(f"{one:g}" for one in ranker.shares)
            message = f"rule {number + 1}: {ranker.key} knows the top {known}, not {share:g}; name one of these"
            raise FieldError(number, "ends_in_top", message)
    return ranker
