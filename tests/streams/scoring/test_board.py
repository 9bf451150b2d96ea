"""What a dashboard shows of the models' standing."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from forecasters.base import Forecaster
from streams.engine.lineup import Lineup
from streams.scoring.board import FAMILIES, ScoreBoard
from streams.scoring.standing import Standing
from tests.streams.learning_engine import Tenfold
from tests.streams.scoring.test_standing import truths


class Named(Tenfold):
    """A model of any name and version."""

    def __init__(self, name: str, version: str) -> None:
        self.name, self.version = name, version  # type: ignore[misc]


def board(standing: Standing, champions: list[Forecaster], challengers: list[Forecaster]) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(ScoreBoard(lambda: standing, lambda: Lineup.of(champions, challengers)))
    return registry


def test_the_champion_is_compared_and_the_challenger_is_not() -> None:
    standing = Standing().after(truths(1, 400))
    found = board(standing, [Named("good", "1")], [Named("blend", "2")])
    labels = {"model": "good", "version": "1", "by": "bad@1", "age": "5m-15m"}
    assert found.get_sample_value("cascadecast_champion_beaten", labels) == 0.0
    low, mean, high = (
        found.get_sample_value("cascadecast_champion_msle_excess", {**labels, "bound": bound})
        for bound in ("low", "mean", "high")
    )
    assert low is not None
    assert mean is not None
    assert high is not None
    assert low < mean < high < 0
    challenged = {**labels, "model": "blend", "version": "2", "by": "good@1"}
    assert found.get_sample_value("cascadecast_champion_beaten", challenged) is None
    turned = board(standing, [Named("bad", "1")], [Named("good", "1")])
    beaten = {"model": "bad", "version": "1", "by": "good@1", "age": "5m-15m"}
    assert turned.get_sample_value("cascadecast_champion_beaten", beaten) == 1.0


def test_a_drift_is_told_with_its_time_and_both_means() -> None:
    standing = Standing().after(truths(2, 900, shift_at=600))
    found = board(standing, [Named("good", "1")], [])
    labels = {"model": "good", "version": "1", "age": "1h-3h"}
    assert found.get_sample_value("cascadecast_drift_detections", labels) == 1.0
    at = found.get_sample_value("cascadecast_drift_last_timestamp_seconds", labels)
    assert at == standing.drift["good@1", 3].last_at
    before, since = (
        found.get_sample_value("cascadecast_drift_bias", {**labels, "when": when}) for when in ("before", "since")
    )
    assert before is not None
    assert since is not None
    assert since < before - 1


def test_every_family_is_there_before_the_first_score_and_no_label_is_of_a_post() -> None:
    empty = generate_latest(board(Standing(), [], [])).decode()
    assert all(f"# TYPE {name} gauge" in empty for name in FAMILIES)
    full = generate_latest(board(Standing().after(truths(1, 400)), [Named("good", "1")], [])).decode()
    assert "c399" not in full
