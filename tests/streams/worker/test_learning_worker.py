"""Workers and a run over a file learn the same: forecasts and scores are equal, also after a crash."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from graph import write_events
from streams.cli import main
from streams.engine.due import Due
from streams.engine.forecast_file import RunCounts, forecast_events
from streams.engine.inference import ForecastService, ModelRun
from streams.scoring.board import FAMILIES
from streams.scoring.learned import Learned
from streams.scoring.scores import ScoreRecord
from tests.streams.learning_engine import HOUR, Swayed, blend, learning_settings, long_stream, play, service
from tests.streams.worker_rig import Rig


def scores_of(rig: Rig) -> dict[str, Any]:
    found = [json.loads(value) for _, value, _ in rig.outbox.sent.get("scores", [])]
    return {record["id"]: record for record in found}


def samples(rig: Rig, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    return {
        tuple(sorted(sample.labels.items())): sample.value
        for family in rig.metrics.registry.collect()
        for sample in family.samples
        if sample.name == name
    }


def from_file(events: Any, config: Any) -> tuple[dict[str, Any], dict[str, Any], RunCounts]:
    scores: list[ScoreRecord] = []
    counts = RunCounts()
    records = list(forecast_events(events, config, service(config), counts, on_score=scores.append))
    return (
        json.loads(json.dumps({record.id: msgspec.to_builtins(record) for record in records})),
        {score.id: msgspec.to_builtins(score) for score in scores},
        counts,
    )


@pytest.mark.parametrize("partitions", [1, 3])
async def test_a_worker_and_a_file_run_learn_the_same(partitions: int) -> None:
    events = long_stream(21, cascades=50)
    config = learning_settings(partitions=partitions, max_backlog=20)
    rig = Rig(config, service(config))
    await rig.core.own(set(range(partitions)))
    await rig.play(events, partitions)
    forecasts, scores, counts = from_file(events, config)
    assert {str(r["id"]): r for r in rig.outbox.forecasts()} == forecasts
    assert scores_of(rig) == scores
    assert len(scores) > 60
    assert rig.total("cascadecast_scores_total") == len(scores) == counts.scored.total()


async def test_another_owner_goes_on_learning_where_the_first_stopped() -> None:
    events = long_stream(22, cascades=50)
    config = learning_settings(partitions=2)
    forecasts, _, _ = from_file(events, config)
    first = Rig(config, service(config))
    await first.core.own({0, 1})
    first.outbox.patience = 40  # what is computed last is not acknowledged; then it dies
    half = len(events) // 2
    with pytest.raises(ConnectionError):
        await first.play(events[:half], 2)
    cut = events[half - 1].time
    second = Rig(config, service(config))
    second.stores = first.stores
    # the first rig's end marker closed its stream an hour after the cut: what is late by it is no part of the claim
    await second.core.own({0, 1})
    found = {str(r["id"]): r for r in first.outbox.forecasts()}
    assert {i: r for i, r in found.items() if r["as_of"] <= cut} == {
        i: forecasts[i] for i, r in found.items() if r["as_of"] <= cut
    }
    for number in (0, 1):
        mine, theirs = (rig.core.assigned[number].partition for rig in (second, first))
        since = mine.unforecast_since()
        assert mine.learner.learned.snapshot() == theirs.learner.state_at(since).snapshot()


async def test_what_a_worker_has_learned_is_what_its_scores_teach_one_by_one() -> None:
    """Weights, intervals, last scores, drift and comparisons: all are a fold over the truths, whatever the batches."""
    events = long_stream(25, cascades=60)
    config = learning_settings(max_backlog=20)
    rig = Rig(config, service(config))
    await rig.core.own({0})
    await rig.play(events, 1, batch=37, end=max(event.time for event in events) + 4 * HOUR)
    out, _ = play(events, [], config)
    assert scores_of(rig) == {score.id: msgspec.to_builtins(score) for score in out.scores.values()}
    replayed = Learned()
    for truth in out.truths:
        replayed = replayed.after([truth])
    learned = rig.core.assigned[0].partition.learner.learned
    assert learned.snapshot() == replayed.snapshot()
    assert learned.intervals.keys() == {"blend@3", "doubling@1", "tenfold@1"}
    again = Rig(config, service(config))
    again.stores = rig.stores
    await again.core.own({0})
    assert again.core.assigned[0].partition.learner.learned.snapshot() == replayed.snapshot()


async def test_after_a_restart_the_figures_go_on_where_they_were() -> None:
    events = long_stream(26, cascades=60)
    config = learning_settings(partitions=2)
    first = Rig(config, service(config))
    await first.core.own({0, 1})
    await first.play(events, 2)
    second = Rig(config, service(config))
    second.stores = first.stores
    await second.core.own({0, 1})
    figures = [name for name in FAMILIES if name.startswith("cascadecast_score_")]
    assert len(figures) == 5
    for name in figures:
        assert samples(second, name) == samples(first, name) != {}
    shown = samples(second, "cascadecast_score_coverage_ratio")
    await second.core.disown(0)
    assert samples(second, "cascadecast_score_coverage_ratio") != shown, "a partition takes its figures along"
    await second.core.disown(1)
    assert samples(second, "cascadecast_score_coverage_ratio") == {}


async def test_the_metrics_tell_how_good_the_models_are_and_what_the_blend_weighs() -> None:
    events = long_stream(23, cascades=60)
    config = learning_settings()
    rig = Rig(config, service(config))
    await rig.core.own({0})
    await rig.play(events, 1)
    scores = list(scores_of(rig).values())
    early = [s for s in scores if s["model"] == "doubling" and s["age_seconds"] < 300]
    labels = {"model": "doubling", "version": "1", "age": "0m-5m"}
    assert 0 < rig.value("cascadecast_score_msle", **labels) < 3 * max(s["squared_log_error"] for s in early)
    assert 0 <= rig.value("cascadecast_score_coverage_ratio", **labels) <= 1
    weights = [
        rig.value(
            "cascadecast_blend_weight_ratio", model="blend", expert=expert.forecaster.name, age="60m", partition="0"
        )
        for expert in blend().experts
    ]
    assert sum(weights) == pytest.approx(1.0)
    assert weights[0] > weights[1], "tenfold is far off"
    await rig.core.disown(0)
    assert rig.total("cascadecast_blend_weight_ratio") == 0


async def test_the_metrics_tell_what_the_posts_resemble() -> None:
    config = learning_settings()
    rig = Rig(config, service(config, Swayed))
    await rig.core.own({0})
    await rig.play(long_stream(23, cascades=60), 1)
    shares = {
        name: rig.value("cascadecast_population_share_ratio", population=name, partition="0")
        for name in ("few", "many")
    }
    assert sum(shares.values()) == pytest.approx(1.0)
    assert min(shares.values()) > 0.05
    await rig.core.disown(0)
    assert rig.total("cascadecast_population_share_ratio") == 0


def test_the_command_writes_scores(
    tmp_path: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, scores = tmp_path / "events.jsonl", tmp_path / "scores.jsonl"
    write_events(path, long_stream(24, cascades=10))
    arguments = ["forecast", str(path), "--in-order", "--models", "hawkes", "--horizon", "2h", "--partitions", "2"]
    options = ["--scores", str(scores), "--output", str(tmp_path / "out.jsonl"), "--json"]
    monkeypatch.setattr("sys.argv", ["cascadecast", *arguments, *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None)
    lines = [json.loads(line) for line in scores.read_text().splitlines()]
    summary = json.loads(capsys.readouterr().out)["results"][0]
    assert summary["scored"] == {"hawkes": len(lines)}
    assert lines
    assert list(lines[0]) == list(ScoreRecord.__struct_fields__)


@pytest.mark.parametrize("shed", ["paced", False])
async def test_of_a_hurried_worker_one_round_in_eight_teaches_the_blends(shed: str | bool) -> None:
    config = learning_settings(shed=shed, forecast_within_seconds=0.001)  # input waits for every forecast
    rounds: list[list[bool]] = []

    class Watched(ForecastService):
        def forecast(self, dues: Sequence[Due]) -> list[ModelRun]:
            if dues:  # else there are scores alone
                rounds.append([due.teach for due in dues if due.keep])
            return super().forecast(dues)

    rig = Rig(config, Watched(service(config).lineup, config.horizon_seconds))
    await rig.core.own({0})
    await rig.play(long_stream(23, cascades=50), 1)
    kept = {number: taught for number, taught in enumerate(rounds) if taught}
    assert len(kept) > 16
    assert all(all(taught) if shed is False or number % 8 == 0 else not any(taught) for number, taught in kept.items())
    assert any(number % 8 == 0 for number in kept)
