"""Which ranker a file of rules asks for, and whether it can answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from forecasters.errors import UnanswerableError
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
    # imported where rules ask for a ranker only: checking other rules takes no time
    from forecasters.alerting.stored import must_answer

    first = asked[0][0]
    try:
        ranker = find(named or "ranker")
    except UserError as error:
        raise FieldError(None if named else first, "ranker" if named else "top_probability", str(error)) from None
    try:
        must_answer(ranker, horizon_seconds, [share for _, share in asked])
    except UnanswerableError as error:
        if error.share is None:
            raise FieldError(first, "top_probability", str(error)) from None
        number = next(number for number, share in asked if share == error.share)
        raise FieldError(number, "ends_in_top", f"rule {number + 1}: {error}") from None
    return ranker
