"""One run: forecasts beside truths, their calibration, and the file they are written to."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from forecasters.age_coverage import AGE_BUCKETS_SECONDS, bucket_cases, coverage_by_age
from forecasters.dataset import cases, rolling_cases, split_cases
from forecasters.hawkes import HawkesForecaster
from forecasters.metrics import msle
from forecasters.ridge import RidgeForecaster
from forecasters.runs import CURVE_LEVELS, Calibration, Run, prediction_lines, run_on
from tests.forecasters.cascades import START, cascade_of, random_cascades

HOUR, DAY = 3600.0, 86_400.0
CASCADES = random_cascades(80)


@pytest.fixture(scope="module")
def run() -> Run:
    split = split_cases(cases(CASCADES, HOUR, DAY), "random")
    ridge = RidgeForecaster().fit(split.train, split.validation)
    calibration = Calibration.of(ridge, split.validation)
    return run_on(ridge, split.test, model="ridge", observe_seconds=HOUR, seed=3, calibration=calibration)


def test_a_run_keeps_what_its_scores_are_made_of(run: Run) -> None:
    assert run.scores()["msle"] == pytest.approx(msle(run.predicted, run.actual))
    assert run.squared_errors.mean() == pytest.approx(run.scores()["msle"])
    by_id = {cascade.id: cascade for cascade in CASCADES}
    for cascade, as_of, observed in zip(run.cascades, run.as_of, run.observed, strict=True):
        assert by_id[cascade].size_at(as_of) == observed


def test_the_curve_at_the_models_own_level_is_its_own_coverage(run: Run) -> None:
    curve = dict(run.curve)
    assert tuple(curve) == CURVE_LEVELS
    assert curve[run.level] == run.scores()["coverage"]
    assert list(curve.values()) == sorted(curve.values())


def test_stored_weights_know_one_level_only() -> None:
    test = cases(CASCADES, HOUR, DAY)
    run = run_on(HawkesForecaster(), test, model="hawkes", observe_seconds=HOUR, seed=None)
    assert run.curve == ((0.8, run.scores()["coverage"]),)
    assert Calibration.of(HawkesForecaster(), []) is None


def test_each_cascade_is_cut_once_in_each_bucket_by_a_seed() -> None:
    for bucket in AGE_BUCKETS_SECONDS:
        found = bucket_cases(CASCADES, bucket, DAY, least=10, seed=1)
        ages = [case.as_of - case.graph.root_time for case in found]
        assert len({case.graph.id for case in found}) == len(found) > 0
        assert all(bucket[0] <= age < bucket[1] for age in ages)
        again = bucket_cases(CASCADES, bucket, DAY, least=10, seed=1)
        assert [case.as_of for case in found] == [case.as_of for case in again]
        assert [case.as_of for case in found] != [
            case.as_of for case in bucket_cases(CASCADES, bucket, DAY, least=10, seed=2)
        ]


def test_coverage_by_age_counts_truths_inside_the_intervals() -> None:
    drawn = split_cases(rolling_cases(CASCADES, DAY), "none")
    ridge = RidgeForecaster().fit(drawn.train, drawn.validation)
    found = coverage_by_age(ridge, CASCADES, DAY, least=10)
    assert [(one.from_seconds, one.to_seconds) for one in found] == list(AGE_BUCKETS_SECONDS)
    assert all(0 < one.covered <= one.n <= len(CASCADES) for one in found)
    assert 0.5 < sum(one.covered for one in found) / sum(one.n for one in found) < 1.0
    few = coverage_by_age(ridge, [cascade_of([1.0] * 20 + [900.0])], 1000.0, least=10)
    assert [one.to_seconds for one in few] == [900.0]  # later ones lie beyond the horizon


def test_every_forecast_can_be_read_back_from_the_csv() -> None:
    odd = cascade_of([*range(1, 20), 5000.0], name='a,"b"')
    run = run_on(HawkesForecaster(), cases([odd], HOUR, DAY), model="hawkes", observe_seconds=HOUR, seed=None)
    (row,) = csv.DictReader(line.decode() for line in prediction_lines([run]))
    assert (row["model"], row["seed"], row["cascade"]) == ("hawkes", "", 'a,"b"')
    assert float(row["as_of"]) == run.as_of[0] == np.nextafter(START + HOUR, 0)
    assert (row["observed"], row["actual"], row["level"]) == ("19", "1", "0.8")
    assert float(row["low"]) <= float(row["predicted"]) <= float(row["high"])
    assert float(row["predicted"]) == pytest.approx(run.predicted[0], rel=1e-5)
