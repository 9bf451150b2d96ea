"""A file of rules says what is meant, or what is wrong, where, and how to mend it."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph import CascadeView
from graph.errors import UserError
from streams.alerts.explaining import explained, explained_shared
from streams.alerts.moment import Quantity
from streams.alerts.ranking import RuleRanker
from streams.alerts.records import Severity
from streams.alerts.rule_file import LASTING, OPENING, RulesError, load_rules, parse_rules

EXAMPLE = Path(__file__).parents[3] / "deploy" / "alerts" / "rules.toml"


def test_the_shipped_rules_are_valid_and_each_has_its_sentence() -> None:
    rules = load_rules(EXAMPLE)
    assert rules.ranks_populations
    for rule in rules.rules:
        assert rule.description
        assert explained(rule).startswith(f"{rule.name} ({rule.severity.value}): opens when ")
    assert any("20 alerts an hour" in line for line in explained_shared(rules))


def test_all_keys_are_read() -> None:
    text = """
        cap_per_hour = 7
        quiet_hours = "01:00-02:00"
        time_zone = "Asia/Shanghai"
        population_hours = 3
        population_minimum = 11
        [[rule]]
        name = "a"
        severity = "critical"
        probability = 0.5
        reaches = 1000
        top_share = 0.02
        most_age = "2h"
        followers = 10
        sources = ["weibo"]
        languages = "zh"
        resolve_factor = 0.5
        cool_down = "90m"
        update_factor = 2
        ignores_quiet_hours = true
        ignores_cap = true
        [rule.labels]
        team = "news"
        [[rule]]
        name = "b"
        expected = 100
        growth_per_hour = 5
        resolve = { expected = 40 }
        """
    rules = parse_rules(text, "rules.toml")
    assert (rules.cap_per_hour, rules.population_seconds, rules.population_minimum) == (7.0, 10_800.0, 11)
    assert str(rules.quiet_hours) == "01:00-02:00 Asia/Shanghai"
    first, second = rules.rules
    bounds = {one.quantity: (one.bound, one.keep, one.at_most) for one in first.conditions}
    assert bounds == {
        Quantity.PROBABILITY: (0.5, 0.25, False),
        Quantity.TOP_SHARE: (0.02, 0.04, True),
        Quantity.FOLLOWERS: (10.0, None, False),
        Quantity.AGE: (7200.0, None, True),
    }
    assert [one.level for one in first.conditions if one.quantity is Quantity.PROBABILITY] == [1000.0]
    assert (first.severity, first.labels, first.sources) == (Severity.CRITICAL, {"team": "news"}, frozenset({"weibo"}))
    assert (first.languages, first.cool_down_seconds, first.update_factor) == (frozenset({"zh"}), 5400.0, 2.0)
    assert first.ignores_cap
    assert first.ignores_quiet_hours
    assert {one.quantity: one.keep for one in second.conditions} == {Quantity.EXPECTED: 40.0, Quantity.GROWTH: None}
    assert [rule.name for rule in rules.by_severity] == ["a", "b"]


RULE = '[[rule]]\nname = "a"\nexpected = 5\n'


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("cap_per_hours = 3\n" + RULE, 1, "did you mean cap_per_hour?"),
        (RULE + "severty = 'info'\n", 4, "rule 1 has no key severty: did you mean severity?"),
        (RULE + 'severity = "critcal"\n', 4, "one of info, warning, critical, not 'critcal'|critical?"),
        (RULE + RULE, 5, "another rule 'a'"),
        (RULE + '[[rule]]\nname = "b"\n', 5, "has no condition"),
        ("[[rule]]\nexpected = 5\n", 1, "has no name"),
        (RULE.replace("5", "-5"), 3, "expected must be a number above 0, not -5"),
        (RULE.replace("5", '"many"'), 3, "expected must be a number"),
        (RULE.replace("5", "nan"), 3, "expected must be a number"),
        (RULE.replace("5", "true"), 3, "expected must be a number"),
        (RULE + "top_share = 1.5\n", 4, "above 0 and at most 1"),
        (RULE + "probability = 0.5\n", 4, "add reaches"),
        (RULE + "reaches = 10\n", 4, "add probability"),
        (RULE + "top_probability = 0.5\n", 4, "top_probability is of no use without ends_in_top"),
        (RULE + "ends_in_top = 0.1\n", 4, "add top_probability"),
        ('ranker = "ranker@2"\n' + RULE, 1, "ranker is of no use without top_probability"),
        (RULE + 'most_age = "soon"\n', 4, 'a duration such as "90m"'),
        (RULE + "most_age = 90\n", 4, "a duration"),
        (RULE + "update_factor = 1\n", 4, "above 1"),
        (RULE + "labels = { team = 3 }\n", 4, "a table of texts"),
        (RULE + 'labels = { "my team" = "a" }\n', 4, "no name of a label"),
        (RULE.replace('"a"', '"a\\u001fb"'), 2, "is no name"),
        (RULE.replace('"a"', '"two words"'), 2, "is no name"),
        (RULE + "sources = []\n", 4, "a list of texts"),
        (RULE + 'ignores_cap = "yes"\n', 4, "true or false"),
        (RULE + "resolve = { expected = 9 }\n", 4, "must leave some room"),
        (RULE + "resolve = { expectd = 3 }\n", 1, "did you mean expected?"),
        (RULE + "resolve = { acceleration = 3 }\n", 4, "no condition of the rule"),
        (RULE + "resolve_factor = 0.5\nresolve = { expected = 3 }\n", 4, "exclude each other"),
        ('time_zone = "UTC"\n' + RULE, 1, "without quiet_hours"),
        ('quiet_hours = "1-2"\n' + RULE, 1, "write it as 22:30-06:30|22:30-06:00"),
        ('quiet_hours = "01:00-02:00"\ntime_zone = "Berlin"\n' + RULE, 2, "IANA"),
        ("rule = 3\n", 1, r"\[\[rule\]\]"),
        ("# a\n# b\n[[rule]]\nname = \n", 0, "not valid TOML"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_line_and_the_mend(text: str, line: int, said: str) -> None:
    with pytest.raises(RulesError, match=said) as caught:
        parse_rules(text, "rules.toml")
    assert str(caught.value).startswith(f"rules.toml:{line}: " if line else "rules.toml: ")
    assert "\n" not in str(caught.value)


class Certain:
    def score_of_view(self, view: CascadeView) -> float:
        return 1.0

    def chance_of_view(self, view: CascadeView, score: float, share: float) -> float:
        return 1.0


def found(spec: str) -> RuleRanker:
    if spec not in ("ranker", "ranker@2"):
        raise UserError(f"no model {spec!r}; see 'cascadecast models list'")
    return RuleRanker("ranker@2" if spec == "ranker" else spec, 86_400.0, (0.05, 0.1), Certain())


RANKED = '[[rule]]\nname = "a"\ntop_probability = 0.5\nends_in_top = 0.05\n'


def test_a_rule_asks_a_stored_ranker() -> None:
    rules = parse_rules(RANKED, "x", 86_400.0, found)
    assert rules.ranker is not None
    assert rules.ranker.key == "ranker@2"
    condition = rules.rules[0].conditions[0]
    assert (condition.bound, condition.keep, condition.level) == (0.5, 0.35, 0.05)
    assert "probability of ending among the top 5 % at least 0.5" in explained(rules.rules[0])
    assert parse_rules('ranker = "ranker@2"\n' + RANKED, "x", 86_400.0, found).digest == rules.digest
    assert parse_rules(RULE, "x", 86_400.0, found).ranker is None


@pytest.mark.parametrize(
    ("text", "horizon", "line", "said"),
    [
        ('ranker = "ranker@9"\n' + RANKED, 86_400.0, 1, "no model 'ranker@9'"),
        (RANKED.replace("0.05", "0.01"), 86_400.0, 4, "rule 1: ranker@2 knows the top 5 %, 10 %, not 1 %"),
        (RANKED, 3600.0, 3, "trained for sizes at 24h, not at 1h; name another, or train one with --horizon 1h"),
        (RANKED.replace("0.05", "2"), 86_400.0, 4, "at most 1"),
    ],
)
def test_a_ranker_that_cannot_answer_is_told(text: str, horizon: float, line: int, said: str) -> None:
    with pytest.raises(RulesError, match=said) as caught:
        parse_rules(text, "x", horizon, found)
    assert str(caught.value).startswith(f"x:{line}: ")


def test_without_a_ranker_the_mend_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASCADECAST_MODELS_DIR", str(tmp_path))
    with pytest.raises(RulesError, match="x:3: no ranker is stored; 'cascadecast train ranker --data FILE' makes one"):
        parse_rules(RANKED, "x")


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"a = ["])
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "rules.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RulesError, match=str(path)):
        load_rules(path)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(RulesError):
        parse_rules(text, "x")


def test_the_digest_tells_rules_apart_and_nothing_else() -> None:
    base = parse_rules(RULE, "x")
    assert parse_rules("# why\n" + RULE, "y").digest == base.digest
    others = [
        RULE.replace("5", "6"),
        RULE + 'cool_down = "1h"\n',
        "cap_per_hour = 3\n" + RULE,
        RULE + 'labels = { a = "b" }\n',
    ]
    assert len({parse_rules(text, "x").digest for text in others} | {base.digest}) == 5
    of_one, of_another = (
        parse_rules(RANKED, "x", find=lambda spec, key=key: replace(found(spec), key=key))  # type: ignore[misc]
        for key in ("ranker@1", "ranker@2")
    )
    assert of_one.digest != of_another.digest


def test_every_condition_is_documented() -> None:
    text = (EXAMPLE.parents[2] / "docs" / "alerts.md").read_text()
    for key in (*LASTING, *OPENING, "sources", "languages", "reaches", "ends_in_top", "ranker"):
        assert f"`{key}`" in text
