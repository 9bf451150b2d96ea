"""The ranker: better than the count where people matter, the same when it is stored, deterministic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from forecasters.alerting import AlertRanker, GrowthCurves, stage
from forecasters.alerting.chances import Chances
from forecasters.alerting.figures import average_precision
from forecasters.alerting.levels import reaches_top
from forecasters.alerting.linear_score import LinearScore
from forecasters.alerting.ranker import OLD, SWITCH_SECONDS, YOUNG, tail_scores, training_cuts
from forecasters.dataset import DatasetError
from forecasters.errors import ModelStoreError
from tests.forecasters.alerting.posts import HORIZON, busy_day, curves_of

SHARES = (0.05, 0.1)


@pytest.fixture(scope="module")
def curves() -> GrowthCurves:
    return curves_of(*busy_day(400))


@pytest.fixture(scope="module")
def ranker(curves: GrowthCurves) -> AlertRanker:
    return AlertRanker().fit(curves, np.arange(280), SHARES)


def test_it_ranks_new_posts_better_than_their_counts(curves: GrowthCurves, ranker: AlertRanker) -> None:
    test, ages = np.arange(280, 400), np.full(120, 150.0)
    top = reaches_top(curves.finals()[test], 0.1)
    by_count = average_precision(curves.counts(test, ages).astype(float), top)
    assert average_precision(ranker.scores(curves, test, ages), top) > 1.05 * by_count


def test_a_chance_is_one_and_keeps_the_order_of_an_age(curves: GrowthCurves, ranker: AlertRanker) -> None:
    test, ages = np.arange(280, 400), np.full(120, 900.0)
    scores = ranker.scores(curves, test, ages)
    small, large = (ranker.probabilities(curves, test, ages, share) for share in SHARES)
    for chances in (small, large):
        assert ((chances >= 0) & (chances <= 1)).all()
        assert (np.argsort(chances, kind="stable") == np.argsort(scores, kind="stable")).all()
    assert small.sum() < large.sum()
    with pytest.raises(KeyError):
        ranker.probabilities(curves, test, ages, 0.5)


def test_other_posts_of_a_batch_change_no_bit(curves: GrowthCurves, ranker: AlertRanker) -> None:
    posts = np.arange(280, 400)
    together = ranker.scores(curves, posts, np.full(120, 600.0))
    alone = [ranker.scores(curves, posts[i : i + 1], np.array([600.0]))[0] for i in range(0, 120, 17)]
    assert together[::17].tolist() == alone


@pytest.fixture(scope="module")
def of_post(curves: GrowthCurves) -> AlertRanker:
    return AlertRanker(reads_stream=False).fit(curves, np.arange(280), SHARES)


def test_a_view_alone_says_what_the_whole_file_says_to_the_bit(of_post: AlertRanker, curves: GrowthCurves) -> None:
    """What a worker makes of a live post is what an evaluation makes of it, whatever else either has seen."""
    cascades = busy_day(400)
    for number in range(280, 400, 7):
        for age in (60.0, 900.0, 7200.0, 40_000.0):
            view = cascades[number].view(cascades[number].root_time + age)
            after = np.nextafter([view.age_seconds], np.inf)
            score = of_post.scores(curves, np.array([number]), after)[0]
            assert of_post.score_of_view(view) == score
            chance = of_post.probabilities(curves, np.array([number]), after, 0.1)[0]
            assert of_post.chance_of_view(view, float(score), 0.1) == chance


def test_without_the_stream_no_other_post_matters(of_post: AlertRanker, ranker: AlertRanker) -> None:
    posts, alone = busy_day(400), np.array([0])
    ages = np.array([900.0])
    whole, single = curves_of(*posts), curves_of(posts[300])
    place = np.array([whole.ids.index(posts[300].id)])
    assert of_post.scores(whole, place, ages) == of_post.scores(single, alone, ages)
    assert ranker.scores(whole, place, ages) != ranker.scores(single, alone, ages)
    with pytest.raises(ValueError, match="reads all posts"):
        ranker.score_of_view(posts[300].view(posts[300].root_time + 900.0))


def test_without_the_stream_it_still_ranks_better_than_counts(curves: GrowthCurves, of_post: AlertRanker) -> None:
    test, ages = np.arange(280, 400), np.full(120, 150.0)
    top = reaches_top(curves.finals()[test], 0.1)
    by_count = average_precision(curves.counts(test, ages).astype(float), top)
    assert average_precision(of_post.scores(curves, test, ages), top) > by_count


@pytest.mark.parametrize("kind", ["ranker", "of_post"])
def test_what_is_stored_is_what_was_trained(
    curves: GrowthCurves, kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    ranker: AlertRanker = request.getfixturevalue(kind)
    ranker.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["card.md", "config.json", "model.safetensors"]
    again = AlertRanker.load(tmp_path)
    assert (again.features, again.shares) == (ranker.features, SHARES)
    posts, ages = np.arange(400), np.geomspace(60.0, HORIZON, 400)
    assert (again.probabilities(curves, posts, ages, 0.1) == ranker.probabilities(curves, posts, ages, 0.1)).all()
    (tmp_path / "model.safetensors").write_bytes(b"{}")
    with pytest.raises(ModelStoreError, match=r"model\.safetensors"):
        AlertRanker.load(tmp_path)


def test_features_of_another_version_are_refused(ranker: AlertRanker, tmp_path: Path) -> None:
    ranker.save(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace("log_silence", "log_quiet"))
    with pytest.raises(ModelStoreError, match="train it again"):
        AlertRanker.load(tmp_path)


def test_the_same_seed_gives_the_same_ranker_and_another_one_another(
    curves: GrowthCurves, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "ROUNDS", 20)
    posts, ages = np.arange(280, 400), np.full(120, 900.0)
    first, same, other = (
        AlertRanker().fit(curves, np.arange(280), SHARES, seed=seed).scores(curves, posts, ages) for seed in (1, 1, 2)
    )
    assert first.tolist() == same.tolist() != other.tolist()


def test_too_few_posts_are_an_error(curves: GrowthCurves) -> None:
    with pytest.raises(DatasetError, match="100 are needed"):
        AlertRanker().fit(curves, np.arange(99), SHARES)


def test_tail_scores_rise_by_the_logarithm_of_the_share_that_is_larger() -> None:
    finals = np.arange(1000)
    scores = tail_scores(finals, np.arange(1000))
    assert (np.diff(scores) > 0).all()
    assert scores[989] - scores[979] == pytest.approx(np.log(2), abs=0.1)
    assert len(set(tail_scores(np.array([5, 5, 7]), np.arange(3)).tolist())) == 2


def test_every_training_post_is_seen_young_and_old(curves: GrowthCurves) -> None:
    rows, ages = training_cuts(curves, np.arange(280), YOUNG, 0)
    youngest = np.minimum.reduceat(ages, np.flatnonzero(np.diff(rows, prepend=-1)))
    oldest = np.maximum.reduceat(ages, np.flatnonzero(np.diff(rows, prepend=-1)))
    assert len(youngest) == 280
    assert youngest.max() < 300.0
    assert oldest.min() > 5000.0
    _, older = training_cuts(curves, np.arange(280), OLD, 0)
    assert older.min() < SWITCH_SECONDS < HORIZON / 2 < older.max() < HORIZON


def test_a_horizon_within_the_first_stage_needs_no_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "ROUNDS", 20)
    short = curves_of(*busy_day(150), horizon_seconds=3600.0)
    ranker = AlertRanker().fit(short, np.arange(150), (0.1,))
    assert len(ranker.stages) == 1
    assert np.isfinite(ranker.probabilities(short, np.arange(150), np.full(150, 1800.0), 0.1)).all()


def test_ridge_finds_a_plane_and_stops_where_no_example_was() -> None:
    X = np.random.default_rng(0).normal(size=(4000, 3))
    fit = LinearScore.fit(X, X @ [1.0, -2.0, 0.0] + 5.0)
    assert fit.predict(np.eye(3)) == pytest.approx([6.0, 3.0, 5.0], abs=0.1)
    assert fit.predict(np.array([[1e9, 0.0, 0.0]])) == pytest.approx(fit.predict(np.array([[50.0, 0.0, 0.0]])))


def test_chances_are_calibrated_on_what_they_were_fitted_to() -> None:
    rng = np.random.default_rng(0)
    scores, ages = rng.normal(size=20_000), np.full(20_000, 600.0)
    finals = (1000 * (scores + rng.normal(size=20_000)) + 10_000).astype(np.int64)
    chances = Chances.fit(scores, ages, np.arange(20_000), finals, np.arange(20_000), (0.1,))
    said = chances.of(scores, ages, 0.1)
    likely = said > 0.3
    assert said.mean() == pytest.approx(0.1, abs=0.005)
    assert (finals >= np.quantile(finals, 0.9))[likely].mean() == pytest.approx(said[likely].mean(), abs=0.03)
    assert Chances.from_config(chances.to_config()) == chances
