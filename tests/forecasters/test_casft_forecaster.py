"""CasFT as a forecaster: it learns, trains to the bit, resumes, survives extremes and its own files, and so does every
ablation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from forecasters import Case, ModelStoreError
from forecasters.casft import CasFTConfig, CasFTForecaster
from forecasters.casft.noise import example_seeds
from forecasters.context import ContextConfig
from forecasters.dataset import DatasetError, cases, increments, rolling_cases
from forecasters.metrics import msle
from forecasters.training_loop import Epoch, training_on
from graph import Cascade
from tests.forecasters.cascades import START, cascade_of

DAY = 86_400.0
SMALL = CasFTConfig(
    state_size=16,
    event_cap=20,
    intervals=4,
    denoiser_width=32,
    global_features=0,
    epochs=20,
    patience=20,
    batch_size=16,
    learning_rate=5e-3,
    averaging=0.0,  # of a hundred steps the average would still remember the first
)
TOGETHER = replace(SMALL, members=2, epochs=3)
FULL = replace(
    SMALL,
    context=ContextConfig(members=2, width=16, epochs=2, cuts=4),
    recent_events=10,
    epochs=2,
    batch_size=32,
)
VARIANTS = list(CasFTForecaster.variants())


def simulated(count: int, seed: int = 0) -> list[Cascade]:
    """Posts whose pace in the first hour tells how they go on: what a forecaster must pick up to beat the mean."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        pace = int(rng.choice([10, 18]))
        early = np.sort(rng.uniform(0.0, 3600.0, pace))
        late = np.sort(rng.uniform(3600.0, DAY, (pace - 9) ** 2 + int(rng.integers(0, 3))))
        found.append(cascade_of([*early.tolist(), *late.tolist()], name=f"c{number}"))
    return found


@pytest.fixture(scope="module", autouse=True)
def on_cpu() -> Iterator[None]:
    """Weights are equal to the bit on the CPU."""
    with training_on("cpu"):
        yield


@pytest.fixture(scope="module")
def hour_cases() -> list[Case]:
    return cases(simulated(160), 3600.0, DAY)


@pytest.fixture(scope="module")
def fitted(hour_cases: list[Case]) -> CasFTForecaster:
    return CasFTForecaster(SMALL).fit(hour_cases[:100], hour_cases[100:130])


@pytest.fixture(scope="module")
def full() -> CasFTForecaster:
    found = rolling_cases(simulated(50), DAY, per_cascade=3)
    return CasFTForecaster(FULL).fit(found[:100], found[100:])


def increments_of(forecaster: CasFTForecaster, some_cases: list[Case]) -> np.ndarray:
    examples = [forecaster.prepare(c.graph, c.as_of, c.horizon_seconds) for c in some_cases]
    return forecaster.forecast(examples).increment


def test_learns_from_pace_what_the_mean_cannot_know(fitted: CasFTForecaster, hour_cases: list[Case]) -> None:
    test = hour_cases[130:]
    mean = 2 ** np.log2(1 + increments(hour_cases[:100])).mean() - 1
    always_mean = msle(np.full(len(test), mean), increments(test))
    learned = msle(increments_of(fitted, test), increments(test))
    assert learned < 0.5 * always_mean


def test_its_trend_spreads_even_growth_evenly(fitted: CasFTForecaster, hour_cases: list[Case]) -> None:
    """Growth is uniform in time here; a power law would have most of it in the first hours."""
    case = max(hour_cases[130:], key=lambda case: case.increment)
    found = fitted.forecast([fitted.prepare(case.graph, case.as_of, case.horizon_seconds)])
    half = np.interp(3600.0 + (DAY - 3600.0) / 2, found.trajectory_ages[0], found.trajectory_increments[0])
    assert half / found.increment[0] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("config", [SMALL, TOGETHER, FULL])
def test_same_seed_gives_the_same_weights_to_the_bit_resumed_or_not(
    config: CasFTConfig, hour_cases: list[Case], tmp_path: Path
) -> None:
    train, validation = hour_cases[:40], hour_cases[60:70]
    whole = CasFTForecaster(config).fit(train, validation, seed=3, epochs=3)
    checkpoint = tmp_path / "checkpoint"

    def interrupt(epoch: Epoch) -> None:
        if epoch.number == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        CasFTForecaster(config).fit(train, validation, seed=3, epochs=3, progress=interrupt, checkpoint=checkpoint)
    torch.rand(7)  # what else the process draws must not matter
    resumed = CasFTForecaster(config).fit(train, validation, seed=3, epochs=3, checkpoint=checkpoint)
    other = CasFTForecaster(config).fit(train, validation, seed=4, epochs=1)
    assert whole.nets
    assert resumed.nets
    assert other.nets
    for name, tensor in whole.nets[0].state_dict().items():
        assert torch.equal(tensor, resumed.nets[0].state_dict()[name]), name
    assert not torch.equal(whole.nets[0].cues.initial, other.nets[0].cues.initial)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_trains_forecasts_and_survives_its_files(
    variant: str, hour_cases: list[Case], tmp_path: Path
) -> None:
    made = CasFTForecaster.variants()[variant]()
    assert isinstance(made, CasFTForecaster)
    forecaster = CasFTForecaster(replace(made.config, members=2))
    forecaster.fit(hour_cases[:40], hour_cases[40:50], epochs=1)
    forecaster.save(tmp_path)
    loaded = CasFTForecaster.load(tmp_path)
    assert loaded.config == forecaster.config
    examples = [forecaster.prepare(c.graph, c.as_of, c.horizon_seconds) for c in hour_cases[:20]]
    one, other = forecaster.forecast(examples), loaded.forecast(examples)
    np.testing.assert_array_equal(one.increment, other.increment)
    np.testing.assert_allclose(one.trajectory_increments, other.trajectory_increments)
    np.testing.assert_allclose(one.high, other.high, rtol=1e-4)


@pytest.mark.parametrize("which", ["fitted", "full"])
def test_damaged_files_are_named(which: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    forecaster: CasFTForecaster = request.getfixturevalue(which)
    forecaster.save(tmp_path)
    config = tmp_path / "config.json"
    text = config.read_text()
    config.write_text(text.replace('"state_size": 16', '"state_size": 8'))
    with pytest.raises(ModelStoreError, match="does not fit its config"):
        CasFTForecaster.load(tmp_path)
    config.write_text(text.replace('"trend_learned"', '"trend_leaned"'))
    with pytest.raises(ModelStoreError, match="damaged"):
        CasFTForecaster.load(tmp_path)


@pytest.mark.parametrize("which", ["fitted", "full"])
def test_company_and_order_change_nothing(which: str, hour_cases: list[Case], request: pytest.FixtureRequest) -> None:
    forecaster: CasFTForecaster = request.getfixturevalue(which)
    mixed = rolling_cases([case.graph for case in hour_cases[:8]], DAY, per_cascade=3)
    examples = [forecaster.prepare(c.graph, c.as_of, c.horizon_seconds) for c in mixed]
    together, reverse = forecaster.forecast(examples), forecaster.forecast(examples[::-1])
    for field in ("increment", "low", "high", "trajectory_increments"):
        whole = getattr(together, field)
        np.testing.assert_allclose(getattr(reverse, field)[::-1], whole, rtol=1e-4, atol=1e-4)
        for row, example in enumerate(examples):
            np.testing.assert_allclose(
                getattr(forecaster.forecast([example]), field)[0], whole[row], rtol=1e-4, atol=1e-4
            )


def test_noise_follows_the_cascade_and_the_time_of_the_forecast(fitted: CasFTForecaster) -> None:
    one, other = cascade_of([5.0], name="one"), cascade_of([5.0], name="other")
    seeds = example_seeds(
        [
            fitted.prepare(one, START + 60.0, DAY),
            fitted.prepare(one, START + 60.0, DAY),
            fitted.prepare(one, START + 61.0, DAY),
            fitted.prepare(other, START + 60.0, DAY),
        ]
    )
    assert seeds[0] == seeds[1]
    assert len(set(seeds.tolist())) == 3


N = 300
HOSTILE = {
    "root alone": cascade_of([]),
    "one reshare": cascade_of([5.0]),
    "no root": cascade_of([1.0, 2.0], root=False),
    "all at once": cascade_of([5.0] * N),
    "all with the root": cascade_of([0.0] * N),
    "before the root": cascade_of([-50.0, -3.0, 4.0]),
    "star": cascade_of(np.linspace(1, 3000, N).tolist()),
    "chain": cascade_of(np.linspace(1, 3000, N).tolist(), parents=list(range(N))),
    "one user": cascade_of(np.linspace(1, 3000, N).tolist(), users=["u"] * N),
    "huge audience": cascade_of([1.0, 2.0], root_followers=2_000_000_000),
    "a hundred thousand": cascade_of(np.linspace(0.0, 1800.0, 100_000).tolist()),
}


@pytest.mark.parametrize("which", ["fitted", "full"])
def test_hostile_cascades_have_finite_ordered_forecasts(which: str, request: pytest.FixtureRequest) -> None:
    forecaster: CasFTForecaster = request.getfixturevalue(which)
    for age in (0.0, 1e-3, 1800.0, DAY - 1.0, DAY, 40 * DAY):
        examples = [forecaster.prepare(cascade, START + age, DAY) for cascade in HOSTILE.values()]
        found = forecaster.forecast(examples)
        for array in (found.increment, found.low, found.high, found.trajectory_increments):
            assert np.isfinite(array).all()
            assert (array >= 0.0).all()
        assert (found.low <= found.increment).all()
        assert (found.increment <= found.high).all()
        assert (np.diff(found.trajectory_increments, axis=1) >= 0.0).all()
        if age >= DAY:
            past = [e.age_seconds >= DAY for e in examples]
            assert (found.high[past] == 0.0).all()


def test_cases_whose_events_end_early_can_be_trained_on(hour_cases: list[Case]) -> None:
    """Only the growth that followed is known: no trend is learned, trajectories relax, intervals still come."""
    unknown = [Case(c.graph, c.as_of - 1800.0, DAY, c.increment + 500) for c in hour_cases[:30]]
    forecaster = CasFTForecaster(SMALL).fit(unknown[:20], unknown[20:], epochs=1)
    assert not forecaster.trend_learned
    found = forecaster.forecast([forecaster.prepare(c.graph, c.as_of, DAY) for c in unknown[:5]])
    assert (found.low < found.high).all()
    mixed = [*unknown[:10], *hour_cases[30:40]]
    assert CasFTForecaster(SMALL).fit(mixed, hour_cases[40:50], epochs=1).trend_learned


def test_the_paper_form_reads_the_earliest_events_and_no_counts(fitted: CasFTForecaster) -> None:
    few, many = cascade_of([10.0 * i for i in range(19)]), cascade_of([10.0 * i for i in range(200)])
    examples = [fitted.prepare(cascade, START + 3600.0, DAY) for cascade in (few, many)]
    assert "context" not in examples[0].inputs
    found = fitted.forecast(examples)
    assert found.increment[0] == pytest.approx(found.increment[1], rel=1e-6)


def test_the_full_form_tells_crowds_apart(full: CasFTForecaster) -> None:
    few, many = cascade_of([10.0 * i for i in range(19)]), cascade_of([1.0 * i for i in range(2000)])
    found = full.forecast([full.prepare(cascade, START + 3600.0, DAY) for cascade in (few, many)])
    assert found.increment[0] != found.increment[1]


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    untrained = CasFTForecaster()
    with pytest.raises(ModelStoreError, match="cascadecast train casft"):
        untrained.forecast([untrained.prepare(cascade_of([1.0]), START + 5.0, DAY)])
    with pytest.raises(ModelStoreError, match="nothing to save"):
        untrained.save(tmp_path)
    with pytest.raises(DatasetError, match="no cases to train on"):
        untrained.fit([], [])
