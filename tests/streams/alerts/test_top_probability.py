"""Rules that ask the ranker: a worker says of a post what the library says of it, and a crash changes nothing."""

from __future__ import annotations

import math
import pickle
import random
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from forecasters.alerting import AlertRanker, GrowthCurves, stage, walks
from forecasters.alerting.ranker import YOUNG
from forecasters.alerting.ranker_training import RankerPlan, train_ranker
from forecasters.model_store import ModelStore
from graph import Cascade, Event
from streams.alerts.histograms import Ranks
from streams.alerts.moment import YOUNGEST_RANKED_SECONDS, Moment, Quantity
from streams.alerts.ranking import RuleRanker, stored_ranker
from streams.alerts.records import AlertState
from streams.alerts.rule_file import load_rules
from streams.alerts.rule_watch import RuleWatch
from streams.alerts.rules import RuleBook, RuleSet
from streams.engine.schedule import slot_end
from streams.metrics import WorkerMetrics
from streams.settings import Settings
from tests.forecasters.alerting.posts import busy_day, events_of
from tests.streams.alerts.alert_engine import Told, at_least, crashing_run, play, rule
from tests.streams.alerts.test_likelihood import forecast
from tests.streams.learning_engine import learning_settings

SHARE, BOUND = 0.1, 0.3


def applied(events: list[Event]) -> Cascade:
    cascade = Cascade(events[0].id)
    for event in events:
        cascade.apply(event)
    return cascade


@pytest.fixture(scope="module")
def posts() -> list[Cascade]:
    return [applied(events_of(cascade)) for cascade in busy_day(160) if cascade.size < 60]


@pytest.fixture(scope="module")
def ranker() -> AlertRanker:
    before, stage.ROUNDS = stage.ROUNDS, 20  # type: ignore[misc]
    try:
        curves = GrowthCurves.of(busy_day(240, seed=1), learning_settings().horizon_seconds)
        return AlertRanker(reads_stream=False).fit(curves, np.arange(240), (SHARE,))
    finally:
        stage.ROUNDS = before  # type: ignore[misc]


@pytest.fixture(scope="module")
def rules(ranker: AlertRanker) -> RuleSet:
    asked = RuleRanker("ranker@1", ranker.horizon_seconds, ranker.shares, ranker)
    condition = at_least(Quantity.TOP_PROBABILITY, BOUND, None, SHARE)
    return RuleSet((rule("top", condition),), ranker=asked)


def test_nobody_asks_of_posts_younger_than_it_has_learned_from() -> None:
    assert YOUNGEST_RANKED_SECONDS == walks.YOUNGEST_SECONDS == YOUNG.youngest_seconds


def stream(posts: list[Cascade]) -> list[Event]:
    return sorted((event for post in posts for event in events_of(post)), key=lambda event: (event.time, event.id))


def first_moments(posts: list[Cascade], ranker: AlertRanker, config: Settings) -> dict[str, tuple[float, float]]:
    """By the library alone: when each post first has the chance that the rule asks for, and the chance."""
    curves = GrowthCurves.of(posts, config.horizon_seconds)
    found: dict[str, tuple[float, float]] = {}
    for place, name in enumerate(curves.ids):
        root = curves.root_times[place]
        ages = curves.ages[curves.starts[place] : curves.starts[place + 1]]
        for as_of in sorted({slot_end(name, root + age, config.forecast_delay_seconds) for age in ages.tolist()}):
            age = as_of - root
            if not YOUNGEST_RANKED_SECONDS <= age < config.horizon_seconds:
                continue
            after = np.nextafter([age], np.inf)
            chance = float(ranker.probabilities(curves, np.array([place]), after, SHARE)[0])
            if chance >= BOUND:
                found[name] = as_of, chance
                break
    return found


def test_alerts_open_when_the_library_says_so(posts: list[Cascade], ranker: AlertRanker, rules: RuleSet) -> None:
    config = learning_settings()
    told, _ = play(stream(posts), range(0, 2000, 97), config, rules)
    opened = [record for record in told.order if record.state is AlertState.OPENED]
    expected = first_moments(posts, ranker, config)
    assert {record.cascade: record.as_of for record in opened} == {name: at for name, (at, _) in expected.items()}
    assert 3 <= len(opened) < len(posts)
    for record in opened:
        chance = expected[record.cascade][1]
        assert record.reason == f"probability of ending among the top 10 % at least 0.3 ({chance:.3g})"


def test_crashes_change_nothing(posts: list[Cascade], rules: RuleSet) -> None:
    events, config = stream(posts[:60]), learning_settings()
    whole, _ = play(events, [], config, rules)
    told = Told()
    crashing_run(events, config, rules, random.Random(1), 60, told)
    assert told.records == whole.records
    assert whole.records


def test_the_ranker_goes_to_the_processes_of_a_trial(posts: list[Cascade], rules: RuleSet) -> None:
    theirs = pickle.loads(pickle.dumps(rules))
    assert theirs.digest == rules.digest
    view = posts[0].view(posts[0].root_time + 900.0)
    assert rules.ranker is not None
    assert theirs.ranker.model.score_of_view(view) == rules.ranker.model.score_of_view(view)


def test_a_worker_follows_the_promotion_of_a_ranker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "ROUNDS", 5)
    store, plan = ModelStore(tmp_path / "models"), RankerPlan(3600.0, (SHARE,), "none")
    path, book = tmp_path / "rules.toml", RuleBook()
    path.write_text(f'[[rule]]\nname = "top"\ntop_probability = 0.5\nends_in_top = {SHARE}\n')
    for _ in range(2):
        train_ranker(busy_day(150), plan, store, files=())
    watch = RuleWatch(path, book, WorkerMetrics(), partial(load_rules, models_dir=store.root))
    first, second = (stored_ranker(f"ranker@{version}", store.root) for version in (1, 2))
    assert book.current.ranker == first
    assert not watch.look()
    store.promote("ranker", "2")
    assert watch.look()
    assert book.current.ranker == second
    store.rollback("ranker")
    assert watch.look()
    assert book.current.ranker == first


def test_nothing_is_said_of_a_post_younger_than_a_minute(posts: list[Cascade], ranker: AlertRanker) -> None:
    asked = RuleRanker("ranker@1", ranker.horizon_seconds, ranker.shares, ranker)
    view = posts[0].view(posts[0].root_time + 59.0)
    assert math.isnan(
        Moment(forecast(1, 5.0, 2.0, 9.0), view, Ranks({}), 1, asked).value(Quantity.TOP_PROBABILITY, SHARE)
    )
