"""The promises of `forecasters.base.Forecaster`, over every registered forecaster."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasters.autocas import AutoCasForecaster
from forecasters.base import TRAJECTORY_POINTS, Example, Forecaster, Forecasts
from forecasters.context import ContextConfig
from forecasters.dataset import rolling_cases, split_cases
from forecasters.errors import ModelStoreError
from forecasters.fitting import fit_forecaster
from forecasters.registry import forecaster_specs, new_forecaster
from graph import Cascade, Event, Kind
from tests.forecasters.cascades import START, cascade_of, random_cascades

DAY = 86_400.0
NAMES = forecaster_specs()
each = pytest.mark.parametrize("name", NAMES)
FEW: dict[str, Any] = {"members": 2, "cuts": 4, "epochs": 2}


@lru_cache(maxsize=1)
def training_cascades() -> list[Cascade]:
    return random_cascades(60)


def small(forecaster: Forecaster) -> Forecaster:
    """Two networks and a few further ages stand for many: they keep the same promises in a part of the time."""
    config = getattr(forecaster, "config", None)
    fewer: dict[str, Any] = {"members": 2, "nearby_ages": 1}
    fewer = {name: count for name, count in fewer.items() if getattr(config, name, 0) > count}
    if isinstance(context := getattr(config, "context", None), ContextConfig):
        fewer["context"] = replace(context, **FEW)
    if isinstance(forecaster, AutoCasForecaster):
        forecaster.context_config = replace(forecaster.context_config, **FEW)
    if fewer:
        forecaster.config = replace(config, **fewer)  # type: ignore[attr-defined, type-var]
    return forecaster


@cache
def fitted(name: str, seed: int = 0) -> Forecaster:
    """Each forecaster, fitted quickly at any age; once for the whole module."""
    cases = rolling_cases(training_cascades(), DAY, per_cascade=3, seed=1)
    return fit_forecaster(small(new_forecaster(name)), split_cases(cases, "random", 0), seed=seed, epochs=1)


@lru_cache(maxsize=1)
def hostile() -> dict[str, Cascade]:
    n = 300
    return {
        "root alone": cascade_of([], root_followers=10),
        "one reshare": cascade_of([5.0]),
        "all at once": cascade_of([60.0] * n),
        "all at the start": cascade_of([0.0] * n),
        "before the root": cascade_of([-50.0, -1.0, 3.0]),
        "star": cascade_of(np.linspace(1, 3000, n).tolist()),
        "chain": cascade_of(np.linspace(1, 3000, n).tolist(), parents=list(range(n))),
        "one user": cascade_of(np.linspace(1, 3000, n).tolist(), users=["u"] * n),
        "unknown users": cascade_of(np.linspace(1, 3000, n).tolist(), users=[None] * n),
        "no root": cascade_of(np.linspace(1, 3000, n).tolist(), root=False),
        "exploding": cascade_of((3600 * (1 - np.geomspace(1, 1e-4, 900))).tolist()),
        "silent since": cascade_of(np.linspace(1, 20, 50).tolist()),
        "no followers": cascade_of([1.0, 9.0, 99.0], followers=[0, 0, 0], root_followers=0),
        "all the followers": cascade_of([1.0, 9.0, 99.0], followers=[10**9] * 3, root_followers=10**9),
    }


@lru_cache(maxsize=1)
def huge() -> Cascade:
    return cascade_of(np.sort(np.random.default_rng(0).uniform(0, 3500, 100_000)).tolist(), name="huge")


def examples_of(forecaster: Forecaster, ages: tuple[float, ...] = (0.0, 30.0, 3600.0, 40_000.0)) -> list[Example]:
    return [
        forecaster.prepare(cascade, cascade.root_time + age, horizon)
        for cascade in hostile().values()
        for age in ages
        for horizon in (DAY, 3600.0)
    ]


def assert_promises(examples: list[Example], found: Forecasts) -> None:
    B = len(examples)
    age = np.array([e.age_seconds for e in examples])
    horizon = np.array([e.horizon_seconds for e in examples])
    for array in (found.increment, found.low, found.high):
        assert array.shape == (B,)
        assert np.isfinite(array).all()
    assert found.trajectory_ages.shape == found.trajectory_increments.shape == (B, TRAJECTORY_POINTS)
    assert found.supercritical.shape == (B,)
    assert (found.low >= 0).all()
    assert (found.low <= found.increment).all()
    assert (found.increment <= found.high).all()
    assert (found.increment[age >= horizon] == 0).all()
    assert (found.high[age >= horizon] == 0).all()
    assert np.isfinite(found.trajectory_increments).all()
    assert (np.diff(found.trajectory_increments, axis=1) >= 0).all()
    assert (np.diff(found.trajectory_ages, axis=1) >= 0).all()
    np.testing.assert_array_equal(found.trajectory_increments[:, 0], 0)
    np.testing.assert_array_equal(found.trajectory_increments[:, -1], found.increment)
    np.testing.assert_array_equal(found.trajectory_ages[:, 0], age)
    np.testing.assert_array_equal(found.trajectory_ages[:, -1], np.maximum(age, horizon))


def assert_same(a: Forecasts, b: Forecasts, rows: np.ndarray | None = None, rtol: float = 1e-4) -> None:
    pick = slice(None) if rows is None else rows
    for field in ("increment", "low", "high", "trajectory_ages", "trajectory_increments", "supercritical"):
        np.testing.assert_allclose(getattr(a, field)[pick], getattr(b, field), rtol=rtol, atol=1e-6, err_msg=field)


@each
def test_keeps_every_promise_on_hostile_cascades(name: str) -> None:
    forecaster = fitted(name)
    examples = examples_of(forecaster)
    assert_promises(examples, forecaster.forecast(examples))


@each
@settings(max_examples=15)
@given(
    ages=st.lists(st.floats(0, 5000, allow_nan=False), max_size=25),
    age=st.floats(0, 2 * DAY),
    horizon=st.floats(1, 3 * DAY),
)
def test_keeps_every_promise_on_any_cascade(name: str, ages: list[float], age: float, horizon: float) -> None:
    forecaster = fitted(name)
    cascade = cascade_of(sorted(ages))
    examples = [forecaster.prepare(cascade, START + age, horizon)]
    assert_promises(examples, forecaster.forecast(examples))


@each
def test_a_cascade_of_a_hundred_thousand_is_no_trouble(name: str) -> None:
    forecaster = fitted(name)
    examples = [forecaster.prepare(huge(), huge().root_time + 3600.0, DAY)]
    assert examples[0].observed == 100_000
    assert_promises(examples, forecaster.forecast(examples))


@each
@settings(max_examples=3)
@given(st.dictionaries(st.sampled_from(["", "a", "b"]), st.floats(0.0, 1e9)))
def test_keeps_every_promise_whatever_its_stream_has_shown(name: str, votes: dict[str, float]) -> None:
    forecaster = fitted(name)
    examples = examples_of(forecaster, ages=(3600.0,))
    told = [forecaster.in_stream(example, votes) for example in examples]
    assert_promises(examples, forecaster.forecast(told))
    names = forecaster.votes(examples)
    assert names == forecaster.votes(told)
    assert (names is not None) == forecaster.tells_populations
    assert_same(forecaster.forecast([forecaster.in_stream(one, {}) for one in told]), forecaster.forecast(examples))


@each
def test_says_what_it_prepared(name: str) -> None:
    cascade = cascade_of([10.0, 20.0, 4000.0])
    example = fitted(name).prepare(cascade, START + 3600.0, DAY)
    assert (example.cascade, example.as_of, example.horizon_seconds) == ("c", START + 3600.0, DAY)
    assert example.age_seconds == 3600.0
    assert example.observed == 2


@each
def test_reads_nothing_after_as_of(name: str) -> None:
    forecaster = fitted(name)
    ages = np.linspace(1, 3000, 40).tolist()
    before = forecaster.prepare(cascade_of(ages), START + 3600.0, DAY)
    grown = cascade_of([*ages, 3601.0, 5000.0, 80_000.0], parents=[0] * 41 + [3, 41])
    grown.apply(Event(id="undo", cascade="c", kind=Kind.UNDO, time=START + 7000.0, parent="c:5"))
    after = forecaster.prepare(grown, START + 3600.0, DAY)
    assert before.observed == after.observed
    assert before.inputs.keys() == after.inputs.keys()
    for key, value in before.inputs.items():
        np.testing.assert_array_equal(value, after.inputs[key], err_msg=key)


@each
def test_the_order_of_arrival_changes_nothing(name: str) -> None:
    forecaster = fitted(name)
    ordered, shuffled = Cascade("c"), Cascade("c")
    events = [Event(id="c", cascade="c", kind=Kind.POST, time=START, user="a")]
    events += [
        Event(id=f"c:{i}", cascade="c", kind=Kind.REPOST, time=START + 7.0 * i, user=f"u{i}", parent="c")
        for i in range(60)
    ]
    for event in events:
        ordered.apply(event)
    for i in np.random.default_rng(0).permutation(len(events)):
        shuffled.apply(events[i])
    a = forecaster.forecast([forecaster.prepare(ordered, START + 600.0, DAY)])
    b = forecaster.forecast([forecaster.prepare(shuffled, START + 600.0, DAY)])
    assert_same(a, b)


@each
def test_permuting_a_batch_permutes_the_answers(name: str) -> None:
    forecaster = fitted(name)
    examples = examples_of(forecaster)
    order = np.random.default_rng(0).permutation(len(examples))
    whole = forecaster.forecast(examples)
    assert_same(whole, forecaster.forecast([examples[i] for i in order]), order)


@each
def test_what_else_is_in_the_batch_changes_nothing(name: str) -> None:
    forecaster = fitted(name)
    examples = examples_of(forecaster)
    whole = forecaster.forecast(examples)
    for row in range(0, len(examples), 7):
        assert_same(whole, forecaster.forecast([examples[row]]), np.array([row]))


@each
def test_an_empty_batch_gives_empty_arrays(name: str) -> None:
    assert_promises([], fitted(name).forecast([]))


@each
def test_is_deterministic_given_a_seed(name: str) -> None:
    first, again = fitted(name, 5), fitted.__wrapped__(name, 5)
    examples = examples_of(first, (600.0,))
    assert_same(first.forecast(examples), again.forecast(examples), rtol=1e-9)


@each
def test_what_is_saved_forecasts_the_same(name: str, tmp_path: Path) -> None:
    forecaster = fitted(name)
    forecaster.save(tmp_path)
    again = type(fitted(name)).load(tmp_path)
    examples = examples_of(forecaster)
    assert_same(forecaster.forecast(examples), again.forecast(examples_of(again)), rtol=1e-6)
    assert again.version == forecaster.version


@each
def test_no_file_it_writes_is_a_pickle(name: str, tmp_path: Path) -> None:
    fitted(name).save(tmp_path)
    for path in tmp_path.iterdir():
        assert path.suffix in {".json", ".safetensors", ".txt"}
        content = path.read_bytes()
        assert content[:2] != b"PK", "a zip archive, such as torch.save writes"
        if path.suffix == ".safetensors":  # the length of a JSON header, then the header
            assert content[8:9] == b"{"
        else:
            content.decode()


@each
def test_a_damaged_file_is_an_error_that_names_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelStoreError, match=r"config\.json"):
        type(fitted(name)).load(tmp_path)
    fitted(name).save(tmp_path)
    for path in tmp_path.iterdir():
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ModelStoreError):
            type(fitted(name)).load(tmp_path)
        path.write_bytes(whole)


@each
def test_its_intervals_cover_about_what_they_promise(name: str) -> None:
    forecaster = fitted(name)
    cases = rolling_cases(random_cascades(60, seed=9), DAY, per_cascade=3, seed=2)
    examples = [forecaster.prepare(case.graph, case.as_of, case.horizon_seconds) for case in cases]
    found = forecaster.forecast(examples)
    truth = np.array([case.increment for case in cases])
    covered = np.mean((found.low <= truth) & (truth <= found.high))
    # level 0.8, calibrated on the few cases of nine cascades; the shipped models know none like these and err so widely
    # that the tails of nine say little
    assert 0.55 <= covered <= (1.0 if name == "blend:stored" else 0.99)
