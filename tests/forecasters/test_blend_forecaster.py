"""The blend as a forecaster: what it says follows from what its experts say, and it stays pinned to their versions."""

from __future__ import annotations

import json
import shutil
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from forecasters.base import Case, Forecasts
from forecasters.blend import BlendForecaster, BlendPrior
from forecasters.blend.experts import fresh_experts, starting_shares
from forecasters.dataset import increments, rolling_cases
from forecasters.errors import ModelStoreError
from forecasters.learning_ages import KNOTS
from forecasters.model_store import ModelStore
from forecasters.registry import new_forecaster
from tests.forecasters.cascades import random_cascades

Floats = NDArray[np.float64]

DAY = 86_400.0


@lru_cache(maxsize=1)
def parts() -> tuple[list[Case], list[Case], list[Case]]:
    cascades = random_cascades(90)
    train, validation, test = (rolling_cases(cascades[i::3], DAY, per_cascade=4) for i in range(3))
    return train, validation, test


@lru_cache(maxsize=1)
def fitted() -> BlendForecaster:
    train, validation, _ = parts()
    return BlendForecaster.of_fresh(["mean", "ridge", "hawkes"]).fit(train, validation)


def examples_of(forecaster: BlendForecaster, cases: list[Case]) -> list:  # type: ignore[type-arg]
    return [forecaster.prepare(case.graph, case.as_of, case.horizon_seconds) for case in cases]


def test_log_growth_is_the_weighted_mean_of_the_experts() -> None:
    blend, (_, _, test) = fitted(), parts()
    examples = examples_of(blend, test)
    found = blend.forecast(examples)
    own = [
        expert.forecaster.forecast(
            [expert.forecaster.prepare(case.graph, case.as_of, case.horizon_seconds) for case in test]
        )
        for expert in blend.experts
    ]
    logs = np.log2(1 + np.stack([one.increment for one in own], axis=1))
    weights, bias = blend.weights.at(np.array([example.age_seconds for example in examples]))
    expected = np.exp2(np.maximum(0.0, (weights * logs).sum(axis=1) + bias)) - 1
    np.testing.assert_allclose(found.increment, expected, rtol=1e-9, atol=1e-9)
    paths = sum(weights[:, e, None] * one.trajectory_increments for e, one in enumerate(own))
    shares = found.trajectory_increments / np.maximum(found.increment, 1e-12)[:, None]
    grown = found.increment > 1e-9
    np.testing.assert_allclose(shares[grown], paths[grown] / paths[grown][:, -1:], rtol=1e-6, atol=1e-9)


def test_the_trained_start_alike_and_one_of_a_kind_speaks_for_it() -> None:
    def shares(*specs: str) -> list[float]:
        return starting_shares(fresh_experts(specs)).tolist()

    assert shares("seismic", "hawkes", "trees", "concat", "casft", "autocas") == [0.0, 0.0, 0.25, 0.75, 0.0, 0.0]
    assert shares("mean", "ridge", "hawkes") == [0.5, 0.5, 0.0]
    assert shares("seismic", "hawkes") == [0.5, 0.5]


def test_a_post_that_is_seen_at_several_ages_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    train, validation, _ = parts()
    told: list[int | None] = []
    fit = BlendPrior.fit

    def watched(errors: Floats, ages: Floats, *, posts: int | None = None, start: Floats | None = None) -> BlendPrior:
        told.append(posts)
        return fit(errors, ages, posts=posts, start=start)

    monkeypatch.setattr(BlendPrior, "fit", watched)
    blend = BlendForecaster.of_fresh(["mean", "ridge"]).fit(train, validation)
    seen = len({case.graph.id for case in validation})
    assert seen < len(validation)
    assert told == [seen, *(seen - seen // 5 - (fold < seen % 5) for fold in range(5))]
    assert blend.prior.moments.count.sum() == pytest.approx(seen)


def test_without_a_validation_part_the_weights_stay_as_they_start() -> None:
    train, _, _ = parts()
    blend = BlendForecaster.of_fresh(["mean", "ridge", "hawkes"]).fit(train, [])
    assert blend.weights.weights.tolist() == [[0.5, 0.5, 0.0]] * len(KNOTS)


def test_is_level_with_its_best_expert_or_better() -> None:
    blend, (_, _, test) = fitted(), parts()
    truth = np.log2(1 + increments(test))
    examples = examples_of(blend, test)

    def msle(increment: np.ndarray) -> float:
        return float(np.mean((np.log2(1 + increment) - truth) ** 2))

    singles = [
        msle(one.increment)
        for one in blend.ask_all([blend.prepare_all(c.graph, c.as_of, c.horizon_seconds) for c in test])
    ]
    assert msle(blend.forecast(examples).increment) <= 1.02 * min(singles)


def test_an_expert_that_weighs_nothing_is_not_asked() -> None:
    train, validation, test = parts()
    blend = BlendForecaster.of_fresh(["mean", "ridge", "hawkes"]).fit(train, validation)
    every = [blend.prepare_all(case.graph, case.as_of, case.horizon_seconds) for case in test]
    said = blend.ask_all(every)
    young = np.array([example.age_seconds for example in every]) < KNOTS[1]
    assert young.any()
    assert not young.all()
    blend.weights.weights[:] = np.where(np.arange(len(KNOTS))[:, None] < 2, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
    weights, bias = blend.weights.at(np.array([example.age_seconds for example in every]))
    expected = blend.combine(every, said, weights, bias)

    def unasked(*_: object) -> None:
        raise AssertionError("this expert weighs nothing")

    blend.experts[2].forecaster.prepare = unasked  # type: ignore[method-assign, assignment]
    blend.experts[2].forecaster.forecast = unasked  # type: ignore[method-assign, assignment]
    examples = examples_of(blend, test)
    names = [{name.partition(":")[0] for name in example.inputs} for example in examples]
    assert all((own <= {"0"}) == is_young for own, is_young in zip(names, young, strict=True))
    found = blend.forecast(examples)
    for name in Forecasts.__dataclass_fields__:
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-9, err_msg=name)


def test_without_validation_all_experts_weigh_the_same() -> None:
    train, _, test = parts()
    blend = BlendForecaster.of_fresh(["mean", "ridge"]).fit(train, [])
    np.testing.assert_array_equal(blend.weights.weights, 0.5)
    assert np.isfinite(blend.forecast(examples_of(blend, test[:5])).increment).all()


def test_stored_experts_are_pinned_and_not_fitted_again(tmp_path: Path) -> None:
    train, validation, test = parts()
    store = ModelStore(tmp_path / "models")
    store.publish(new_forecaster("mean").fit(train, validation))
    store.publish(new_forecaster("ridge").fit(train, validation))
    blend = BlendForecaster.of_stored(["mean", "ridge@champion"], store.root).fit(train, validation)
    stored = store.publish(blend)
    assert [entry["version"] for entry in stored.config()["experts"]] == ["1", "1"]
    assert all("files" not in entry for entry in stored.config()["experts"])
    store.publish(new_forecaster("mean").fit(train[:20], []))
    store.promote("mean", "2")
    again = stored.load()
    assert isinstance(again, BlendForecaster)
    assert [expert.key for expert in again.experts] == ["mean@1", "ridge@1"]
    np.testing.assert_allclose(
        again.forecast(examples_of(again, test)).increment, blend.forecast(examples_of(blend, test)).increment
    )
    shutil.rmtree(store.root / "mean" / "1")
    with pytest.raises(ModelStoreError, match="rests on mean 1, which is in no model store; restore that version"):
        stored.load()


def test_what_was_fitted_with_it_is_saved_with_it(tmp_path: Path) -> None:
    fitted().save(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"config.json", "expert-0-config.json", "expert-1-model.safetensors"} <= names
    (tmp_path / "expert-1-model.safetensors").unlink()
    with pytest.raises(ModelStoreError, match=r"expert-1-model\.safetensors"):
        BlendForecaster.load(tmp_path)


@pytest.mark.parametrize("name", ["../../evil", "/etc/hostname", "a/b"])
def test_a_config_cannot_name_files_outside_its_model(tmp_path: Path, name: str) -> None:
    fitted().save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    entry = next(entry for entry in config["experts"] if "files" in entry)
    entry["files"].append(name)
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelStoreError, match="file of a model"):
        BlendForecaster.load(tmp_path)


@pytest.mark.parametrize("specs", [[], ["mean", "mean"], ["mean", "blend"]])
def test_experts_must_differ_and_be_no_blends(specs: list[str]) -> None:
    with pytest.raises(ModelStoreError, match="different experts"):
        BlendForecaster.of_fresh(specs)


def test_an_expert_that_is_not_stored_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelStoreError, match="ridge is not stored"):
        BlendForecaster.of_stored(["ridge"], tmp_path)


def test_its_interval_covers_cascades_it_was_not_fitted_to() -> None:
    blend, (_, _, test) = fitted(), parts()
    found = blend.forecast(examples_of(blend, test))
    truth = increments(test)
    assert 0.68 <= np.mean((found.low <= truth) & (truth <= found.high)) <= 0.92
