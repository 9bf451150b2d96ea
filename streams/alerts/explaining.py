"""A rule in words, for whoever wants to know whether it says what was meant."""

from __future__ import annotations

from streams.alerts.rules import Rule, RuleSet


def explained(rule: Rule) -> str:
    """One sentence: when it opens, when it resolves, what is special.

    >>> from streams.alerts.rule_file import parse_rules
    >>> rules = parse_rules('[[rule]]\\nname = "big"\\nexpected = 5000\\ncool_down = "6h"\\n', "rules.toml")
    >>> print(explained(rules.rules[0]))
    big (warning): opens when expected size at least 5,000; resolved when no longer expected size at least 3,500, or \
when the post matures or is taken back; told again when the expected size is 1.5 times what was last told; not opened \
again on the same post for 6 h.
    """
    whom = []
    if rule.sources is not None:
        whom.append(f"source {' or '.join(sorted(rule.sources))}")
    if rule.languages is not None:
        whom.append(f"language {' or '.join(sorted(rule.languages))}")
    opens = [*whom, *(condition.sentence() for condition in rule.conditions)]
    keeps = [condition.sentence(keeping=True) for condition in rule.conditions if condition.keep is not None]
    ends = [f"no longer {' or '.join(keeps)}, or when "] if keeps else []
    parts = [
        f"{rule.name} ({rule.severity.value}): opens when {' and '.join(opens)}",
        f"resolved when {''.join(ends)}the post matures or is taken back",
        f"told again when the expected size is {rule.update_factor:g} times what was last told",
    ]
    if rule.cool_down_seconds:
        parts.append(f"not opened again on the same post for {rule.cool_down_seconds / 3600.0:g} h")
    if rule.ignores_quiet_hours:
        parts.append("also in quiet hours")
    if rule.ignores_cap:
        parts.append("outside of the cap")
    return "; ".join(parts) + "."


def explained_shared(rules: RuleSet) -> list[str]:
    """What all rules share, a line each."""
    found = []
    if rules.cap_per_hour is not None:
        found.append(f"At most {rules.cap_per_hour:g} alerts an hour are opened, the most important ones.")
    if rules.quiet_hours is not None:
        found.append(f"None is opened in the quiet hours {rules.quiet_hours}.")
    if rules.ranks_populations:
        hours = rules.population_seconds / 3600.0
        found.append(
            f"A post is ranked among those of its source that were forecast in the last {hours:g} h, once there are "
            f"{rules.population_minimum:,}."
        )
    return found
