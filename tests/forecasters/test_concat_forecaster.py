"""ConCat as a forecaster: it learns, trains to the bit, resumes, survives extremes and its own files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from forecasters import Case, ModelStoreError
from forecasters.concat import ConCatConfig, ConCatForecaster, intensity
from forecasters.concat.observation import chosen_events, sequence
from forecasters.context import ContextConfig
from forecasters.dataset import DatasetError, cases, increments, rolling_cases
from forecasters.metrics import msle
from forecasters.model_store import SHIPPED_WEIGHTS, ModelStore
from forecasters.training_loop import Epoch
from graph import Cascade, Event, Kind
from tests.forecasters.cascades import random_cascades

DAY = 86_400.0
SMALL = ConCatConfig(
    state_size=16, event_cap=20, epochs=30, batch_size=16, learning_rate=5e-3, global_features=0, averaging=0.9
)
TOGETHER = replace(SMALL, members=2, epochs=3)
FULL = ConCatConfig(
    context=ContextConfig(members=2, width=16, epochs=4, cuts=4),
    global_features=0,
    state_size=16,
    event_cap=20,
    recent_events=10,
    epochs=3,
    batch_size=32,
)
ABLATIONS = [name for name in ConCatForecaster.variants() if name != "paper"]


def cascade_of(ages: list[float], name: str = "p", followers: int | None = 10, root: bool = True) -> Cascade:
    """A post at time 1e9 and reposts of it at the given ages, every third one of the repost before it."""
    cascade = Cascade(name)
    if root:
        cascade.apply(Event(id=name, cascade=name, kind=Kind.POST, time=1e9, user="author", followers=followers))
    for i, age in enumerate(ages):
        parent = f"{name}.{i - 1}" if i % 3 == 2 else name
        event = Event(id=f"{name}.{i}", cascade=name, kind=Kind.REPOST, time=1e9 + age, user=f"u{i}", parent=parent)
        cascade.apply(event)
    return cascade


def simulated(count: int, seed: int = 0) -> list[Cascade]:
    """Posts whose pace in the first hour tells how they go on: what a forecaster must pick up to beat the mean."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        pace = int(rng.choice([10, 18]))
        early = np.sort(rng.uniform(0.0, 3600.0, pace))
        late = np.sort(rng.uniform(3600.0, DAY, (pace - 9) ** 2 + int(rng.integers(0, 3))))
        found.append(cascade_of([*early.tolist(), *late.tolist()], f"c{number}"))
    return found


@pytest.fixture(scope="module")
def hour_cases() -> list[Case]:
    return cases(simulated(160), 3600.0, DAY)


@pytest.fixture(scope="module")
def fitted(hour_cases: list[Case]) -> ConCatForecaster:
    return ConCatForecaster(SMALL).fit(hour_cases[:100], hour_cases[100:130])


@pytest.fixture(scope="module")
def together(hour_cases: list[Case]) -> ConCatForecaster:
    return ConCatForecaster(TOGETHER).fit(hour_cases[:60], hour_cases[60:80])


@pytest.fixture(scope="module")
def rolling() -> ConCatForecaster:
    found = rolling_cases(simulated(50), DAY, per_cascade=3)
    return ConCatForecaster(FULL).fit(found[:100], found[100:])


def increments_of(forecaster: ConCatForecaster, some_cases: list[Case]) -> np.ndarray:
    examples = [forecaster.prepare(c.graph, c.as_of, c.horizon_seconds) for c in some_cases]
    return forecaster.forecast(examples).increment


def test_learns_from_pace_what_the_mean_cannot_know(fitted: ConCatForecaster, hour_cases: list[Case]) -> None:
    test = hour_cases[130:]
    mean = 2 ** np.log2(1 + increments(hour_cases[:100])).mean() - 1
    always_mean = msle(np.full(len(test), mean), increments(test))
    learned = msle(increments_of(fitted, test), increments(test))
    assert learned < 0.5 * always_mean


@pytest.mark.parametrize("config", [SMALL, TOGETHER, FULL])
def test_same_seed_gives_the_same_weights_to_the_bit_resumed_or_not(
    config: ConCatConfig, hour_cases: list[Case], tmp_path: Path
) -> None:
    train, validation = hour_cases[:60], hour_cases[60:80]
    whole = ConCatForecaster(config).fit(train, validation, seed=3, epochs=3)
    checkpoint = tmp_path / "checkpoint"

    def interrupt(epoch: Epoch) -> None:
        if epoch.number == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ConCatForecaster(config).fit(train, validation, seed=3, epochs=3, progress=interrupt, checkpoint=checkpoint)
    torch.rand(7)  # what else the process draws must not matter
    resumed = ConCatForecaster(config).fit(train, validation, seed=3, epochs=3, checkpoint=checkpoint)
    other = ConCatForecaster(config).fit(train, validation, seed=4, epochs=3)
    assert whole.nets
    assert resumed.nets
    assert other.nets
    for name, tensor in whole.nets[0].state_dict().items():
        assert torch.equal(tensor, resumed.nets[0].state_dict()[name]), name
    assert not torch.equal(whole.nets[0].initial, other.nets[0].initial)


def test_a_checkpoint_of_another_seed_is_refused(hour_cases: list[Case], tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint"
    ConCatForecaster(SMALL).fit(hour_cases[:20], hour_cases[20:30], seed=1, epochs=1, checkpoint=checkpoint)
    with pytest.raises(ModelStoreError, match="seed 1, not 2"):
        ConCatForecaster(SMALL).fit(hour_cases[:20], hour_cases[20:30], seed=2, epochs=1, checkpoint=checkpoint)
    checkpoint.write_bytes(b"torn")
    with pytest.raises(ModelStoreError, match="delete it to start anew"):
        ConCatForecaster(SMALL).fit(hour_cases[:20], hour_cases[20:30], seed=1, epochs=1, checkpoint=checkpoint)


def test_training_stops_when_patience_ends_and_keeps_the_best(hour_cases: list[Case]) -> None:
    seen: list[Epoch] = []
    config = replace(SMALL, epochs=50, patience=2, learning_rate=0.05)
    forecaster = ConCatForecaster(config).fit(hour_cases[:30], hour_cases[30:60], progress=seen.append)
    assert seen[-1].number == seen[-1].best_epoch + 2 or len(seen) == 50
    assert forecaster.best_epoch == seen[-1].best_epoch
    assert seen[-1].best_msle == min(e.validation_msle for e in seen)
    assert msle(increments_of(forecaster, hour_cases[30:60]), increments(hour_cases[30:60])) == pytest.approx(
        seen[-1].best_msle, rel=1e-4
    )


@pytest.mark.parametrize("which", ["fitted", "together", "rolling"])
def test_forecasts_survive_their_files(
    which: str, hour_cases: list[Case], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    forecaster: ConCatForecaster = request.getfixturevalue(which)
    forecaster.save(tmp_path)
    loaded = ConCatForecaster.load(tmp_path)
    assert loaded.config == forecaster.config
    np.testing.assert_array_equal(increments_of(loaded, hour_cases[:20]), increments_of(forecaster, hour_cases[:20]))
    (tmp_path / "config.json").write_text(
        (tmp_path / "config.json").read_text().replace('"state_size": 16', '"state_size": 8')
    )
    with pytest.raises(ModelStoreError, match="does not fit its config"):
        ConCatForecaster.load(tmp_path)


@pytest.mark.parametrize("which", ["fitted", "together", "rolling"])
def test_company_and_order_change_nothing(which: str, hour_cases: list[Case], request: pytest.FixtureRequest) -> None:
    forecaster: ConCatForecaster = request.getfixturevalue(which)
    mixed = rolling_cases([case.graph for case in hour_cases[:12]], DAY, per_cascade=3)
    together = increments_of(forecaster, mixed)
    np.testing.assert_allclose(increments_of(forecaster, mixed[::-1])[::-1], together, rtol=1e-5, atol=1e-5)
    alone = [increments_of(forecaster, [case])[0] for case in mixed]
    np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-5)


EXTREMES = {
    "root alone": cascade_of([]),
    "no root": cascade_of([1.0, 2.0], root=False),
    "all at once": cascade_of([5.0] * 300),
    "all with the root": cascade_of([0.0] * 300),
    "before the root": cascade_of([-50.0, -3.0, 4.0]),
    "huge audience": cascade_of([1.0, 2.0], followers=2_000_000_000),
    "twenty thousand": cascade_of(np.linspace(0.0, 1800.0, 20_000).tolist()),
}


@pytest.mark.parametrize("which", ["fitted", "together", "rolling"])
@pytest.mark.parametrize("age", [0.0, 1e-3, 300.0, 1800.0, DAY - 1.0, DAY, 40 * DAY])
def test_extremes_give_finite_ordered_forecasts(which: str, age: float, request: pytest.FixtureRequest) -> None:
    forecaster: ConCatForecaster = request.getfixturevalue(which)
    examples = [forecaster.prepare(cascade, 1e9 + age, DAY) for cascade in EXTREMES.values()]
    forecasts = forecaster.forecast(examples)
    for array in (forecasts.increment, forecasts.low, forecasts.high, forecasts.trajectory_increments):
        assert np.isfinite(array).all()
        assert (array >= 0.0).all()
    assert (forecasts.low <= forecasts.increment).all()
    assert (forecasts.increment <= forecasts.high).all()
    assert (np.diff(forecasts.trajectory_increments, axis=1) >= 0.0).all()
    if age >= DAY:
        assert (forecasts.increment[[e.age_seconds >= DAY for e in examples]] == 0.0).all()


def test_several_networks_forecast_their_mean(together: ConCatForecaster, hour_cases: list[Case]) -> None:
    examples = [together.prepare(c.graph, c.as_of, c.horizon_seconds) for c in hour_cases[:9]]
    alone = []
    for net in together.nets:
        single = ConCatForecaster(together.config)
        single.nets = (net,)
        alone.append(np.log2(1.0 + single.point(examples)))
    assert not np.array_equal(alone[0], alone[1])
    np.testing.assert_allclose(np.log2(1.0 + together.point(examples)), np.mean(alone, axis=0), atol=1e-4)


def test_an_empty_batch_gives_empty_arrays(fitted: ConCatForecaster) -> None:
    assert fitted.forecast([]).trajectory_increments.shape == (0, 13)


def test_the_paper_form_reads_the_earliest_events_and_no_counts(fitted: ConCatForecaster) -> None:
    few, many = cascade_of([10.0 * i for i in range(19)]), cascade_of([10.0 * i for i in range(200)])
    examples = [fitted.prepare(cascade, 1e9 + 3600.0, DAY) for cascade in (few, many)]
    assert "context" not in examples[0].inputs
    np.testing.assert_array_equal(examples[0].inputs["ages"], examples[1].inputs["ages"])
    forecasts = fitted.forecast(examples)
    assert forecasts.increment[0] == pytest.approx(forecasts.increment[1], rel=1e-6)


def test_the_rolling_form_tells_crowds_apart(rolling: ConCatForecaster) -> None:
    few, many = cascade_of([10.0 * i for i in range(19)]), cascade_of([1.0 * i for i in range(2000)])
    forecasts = rolling.forecast([rolling.prepare(cascade, 1e9 + 3600.0, DAY) for cascade in (few, many)])
    assert forecasts.increment[0] != forecasts.increment[1]


def test_nothing_after_the_cut_is_read(rolling: ConCatForecaster) -> None:
    early = [30.0 * i for i in range(40)]
    short, long = cascade_of(early), cascade_of([*early, *np.linspace(3700.0, 9000.0, 60).tolist()])
    now = [rolling.forecast([rolling.prepare(c, 1e9 + 3600.0, DAY)]).increment[0] for c in (short, long)]
    assert now[0] == now[1]


def test_long_cascades_keep_their_first_and_latest_events() -> None:
    assert chosen_events(5, 10, 4).tolist() == [0, 1, 2, 3, 4]
    assert chosen_events(12, 6, 2).tolist() == [0, 1, 2, 3, 10, 11]
    assert chosen_events(12, 4, 0).tolist() == [0, 1, 2, 3]


def test_a_parent_that_was_left_out_gives_way_to_its_nearest_kept_ancestor() -> None:
    cascade = Cascade("p")
    cascade.apply(Event(id="p", cascade="p", kind=Kind.POST, time=0.0))
    for i in range(9):  # a chain
        parent = "p" if i == 0 else f"e{i - 1}"
        cascade.apply(Event(id=f"e{i}", cascade="p", kind=Kind.REPOST, time=i + 1.0, parent=parent))
    kept = sequence(cascade.view(100.0), event_cap=5, recent_events=2)
    assert kept["ages"].tolist() == [0.0, 1.0, 2.0, 8.0, 9.0]
    assert kept["parents"].tolist() == [-1, 0, 1, 2, 3]


def test_a_frozen_context_is_not_moved_by_the_sequence(hour_cases: list[Case]) -> None:
    seen: list[Epoch] = []
    one = ConCatForecaster(FULL).fit(hour_cases[:60], hour_cases[60:80], epochs=1)
    three = ConCatForecaster(FULL).fit(hour_cases[:60], hour_cases[60:80], epochs=3, progress=seen.append)
    assert one.nets
    assert three.nets
    assert one.nets[0].context is not None
    assert three.nets[0].context is not None
    for name, tensor in one.nets[0].context.state_dict().items():
        assert torch.equal(tensor, three.nets[0].context.state_dict()[name]), name
    assert len(seen) == 3


def sharing_users(count: int) -> list[Cascade]:
    """Posts reshared by one of two circles, of which one draws crowds later: only the users tell."""
    rng = np.random.default_rng(1)
    found = []
    for number in range(count):
        circle = number % 2
        cascade = Cascade(f"s{number}")
        cascade.apply(Event(id=f"s{number}", cascade=cascade.id, kind=Kind.POST, time=1e9, user=f"author{circle}"))
        members = rng.choice(40, 12, replace=False)
        later = np.sort(rng.uniform(3600.0, DAY, 200 if circle else 3))
        for i, age in enumerate([*np.sort(rng.uniform(0.0, 3600.0, 12)).tolist(), *later.tolist()]):
            user = f"circle{circle}-{members[i]}" if i < 12 else f"late{number}-{i}"
            event = Event(
                id=f"s{number}.{i}", cascade=cascade.id, kind=Kind.REPOST, time=1e9 + age, user=user, parent=cascade.id
            )
            cascade.apply(event)
        found.append(cascade)
    return found


def test_the_users_half_reads_what_nothing_else_tells() -> None:
    found = cases(sharing_users(120), 3600.0, DAY)
    train, validation, test = found[:80], found[80:100], found[100:]
    config = replace(SMALL, epochs=12, patience=12)
    without = ConCatForecaster(config).fit(train, validation)
    users = ConCatForecaster(replace(config, global_features=8)).fit(train, validation)
    assert users.embedding is not None
    errors = [msle(increments_of(forecaster, test), increments(test)) for forecaster in (without, users)]
    assert errors[1] < 0.3 * errors[0]


def test_the_users_half_survives_its_files(tmp_path: Path) -> None:
    found = cases(sharing_users(60), 3600.0, DAY)
    users = ConCatForecaster(replace(SMALL, epochs=2, global_features=8)).fit(found[:40], found[40:])
    users.save(tmp_path)
    np.testing.assert_array_equal(increments_of(ConCatForecaster.load(tmp_path), found), increments_of(users, found))


@pytest.mark.parametrize("variant", ABLATIONS)
def test_ablations_train_and_lack_what_they_say(variant: str, hour_cases: list[Case], tmp_path: Path) -> None:
    made = ConCatForecaster.variants()[variant]()
    assert isinstance(made, ConCatForecaster)
    forecaster = ConCatForecaster(replace(made.config, state_size=16, event_cap=20, members=2))
    forecaster.fit(hour_cases[:40], hour_cases[40:60], epochs=2)
    assert forecaster.nets
    for net in forecaster.nets:
        flow = sum(float(parameter.detach().abs().sum()) for parameter in net.dynamics.parameters())
        assert (flow == 0.0) == (variant == "paper-no-ode")
    forecaster.save(tmp_path)
    loaded = ConCatForecaster.load(tmp_path)
    np.testing.assert_array_equal(increments_of(loaded, hour_cases[:9]), increments_of(forecaster, hour_cases[:9]))


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    untrained = ConCatForecaster()
    with pytest.raises(ModelStoreError, match="cascadecast train concat"):
        untrained.forecast([untrained.prepare(cascade_of([1.0]), 1e9 + 5.0, DAY)])
    with pytest.raises(ModelStoreError, match="nothing to save"):
        untrained.save(tmp_path)
    with pytest.raises(DatasetError, match="no cases to train on"):
        untrained.fit([], [])


def test_shipped_weights_expect_more_of_a_post_that_spreads_faster() -> None:
    shipped = ModelStore(SHIPPED_WEIGHTS, shipped=True)
    forecaster = shipped.get("concat", shipped.versions("concat")[-1]).load()
    assert isinstance(forecaster, ConCatForecaster)
    posts = [cascade_of(np.linspace(10.0, 1800.0, n).tolist(), f"n{n}", followers=10_000) for n in (15, 60, 400)]
    forecasts = forecaster.forecast([forecaster.prepare(post, 1e9 + 1800.0, DAY) for post in posts])
    assert (np.diff(forecasts.increment) > 0.0).all()
    assert (forecasts.low < forecasts.increment).all()
    assert (forecasts.increment < forecasts.high).all()


@pytest.mark.parametrize(
    ("spec", "sensitive"), [("concat", "state.0.weight"), ("casft", "trend.denoiser.condition.0.weight")]
)
def test_forecasts_hardly_know_how_exactly_the_integral_was_taken(
    spec: str, sensitive: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shipped heads give the integral little weight; with all the weight of the state it moves them as little."""
    shipped = ModelStore(SHIPPED_WEIGHTS, shipped=True)
    forecaster = shipped.get(spec, shipped.versions(spec)[-1]).load()
    for net in forecaster.nets:  # type: ignore[attr-defined]
        with torch.no_grad():
            net.get_parameter(sensitive)[:, 64].fill_(1.0)
    posts = random_cascades(40)
    examples = [forecaster.prepare(post, post.root_time + age, DAY) for post in posts for age in (600.0, 7200.0)]
    fast = np.log2(1.0 + forecaster.forecast(examples).increment)
    monkeypatch.setattr(intensity, "FORECAST_TOLERANCE", intensity.QUADRATURE_TOLERANCE)
    exact = np.log2(1.0 + forecaster.forecast(examples).increment)
    assert np.ptp(exact) > 1.0
    np.testing.assert_allclose(fast, exact, atol=1e-4)
