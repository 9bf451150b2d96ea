"""AutoCas as a forecaster: it learns, resumes, survives its files, and rolls out what it forecasts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from forecasters.autocas import AutoCasConfig, AutoCasForecaster
from forecasters.autocas.language_model import load_language_model
from forecasters.autocas.variants import LISTED, named
from forecasters.base import Case, Example
from forecasters.context import ContextConfig
from forecasters.dataset import DatasetError, cases, increments, rolling_cases
from forecasters.errors import ModelStoreError
from forecasters.labels import GrowthLabel, LabelledCascade
from forecasters.metrics import msle
from forecasters.registry import answers_any_age, new_forecaster
from forecasters.training_loop import Epoch
from graph import Cascade, Event, Kind
from tests.forecasters.autocas_problems import ROLLING, SMALL
from tests.forecasters.cascades import random_cascades

DAY = 86_400.0
TOGETHER = replace(SMALL, members=2, nearby_ages=2, steps="log", averaging=0.9)


def new(config: AutoCasConfig) -> AutoCasForecaster:
    """An untrained forecaster whose context, if any, is small."""
    forecaster = AutoCasForecaster(config)
    forecaster.context_config = ContextConfig(members=2, width=16, epochs=2, cuts=2)
    return forecaster


def paced(count: int, seed: int = 0) -> list[Cascade]:
    """Posts whose pace in the first hour tells how they go on: what a forecaster must pick up to beat the mean."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        cascade = Cascade(f"c{number}")
        cascade.apply(Event(id=f"c{number}", cascade=f"c{number}", kind=Kind.POST, time=1e9, user="author"))
        pace = int(rng.choice([10, 18]))
        ages = [*np.sort(rng.uniform(0, 3600, pace)), *np.sort(rng.uniform(3600, DAY, (pace - 9) ** 2))]
        for i, age in enumerate(ages):
            event = Event(id=f"c{number}.{i}", cascade=f"c{number}", kind=Kind.REPOST, time=1e9 + age, parent=None)
            cascade.apply(event)
        found.append(cascade)
    return found


@pytest.fixture(scope="module")
def hour_cases() -> list[Case]:
    return cases(paced(120), 3600.0, DAY)


@pytest.fixture(scope="module")
def paper(hour_cases: list[Case]) -> AutoCasForecaster:
    return new(replace(SMALL, epochs=15, learning_rate=5e-3)).fit(hour_cases[:80], hour_cases[80:100])


@pytest.fixture(scope="module")
def together(hour_cases: list[Case]) -> AutoCasForecaster:
    return new(TOGETHER).fit(hour_cases[:60], hour_cases[60:80])


@pytest.fixture(scope="module")
def rolling() -> AutoCasForecaster:
    found = rolling_cases(random_cascades(40), DAY, per_cascade=3)
    return new(ROLLING).fit(found[:80], found[80:])


def examples_of(forecaster: AutoCasForecaster, some: list[Case]) -> list[Example]:
    return [forecaster.prepare(c.graph, c.as_of, c.horizon_seconds) for c in some]


def test_learns_from_pace_what_the_mean_cannot_know(paper: AutoCasForecaster, hour_cases: list[Case]) -> None:
    test = hour_cases[100:]
    mean = 2 ** np.log2(1 + increments(hour_cases[:80])).mean() - 1
    always_mean = msle(np.full(len(test), mean), increments(test))
    assert msle(paper.forecast(examples_of(paper, test)).increment, increments(test)) < 0.3 * always_mean


@pytest.mark.parametrize(
    "config",
    [SMALL, TOGETHER, ROLLING, replace(SMALL, frozen=True)],
    ids=["single", "together", "rolling", "frozen"],
)
def test_same_seed_gives_the_same_weights_to_the_bit_resumed_or_not(
    config: AutoCasConfig, hour_cases: list[Case], tmp_path: Path
) -> None:
    train, validation = hour_cases[:40], hour_cases[40:60]
    whole = new(config).fit(train, validation, seed=3, epochs=3)

    def interrupt(epoch: Epoch) -> None:
        if epoch.number == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        new(config).fit(train, validation, seed=3, epochs=3, progress=interrupt, checkpoint=tmp_path / "c")
    torch.rand(7)  # what else the process draws must not matter
    resumed = new(config).fit(train, validation, seed=3, epochs=3, checkpoint=tmp_path / "c")
    other = new(config).fit(train, validation, seed=4, epochs=1)
    assert whole.nets
    assert resumed.nets
    assert other.nets
    for name, tensor in whole.nets[0].state_dict().items():
        assert torch.equal(tensor, resumed.nets[0].state_dict()[name]), name
    assert not torch.equal(whole.nets[0].prompts, other.nets[0].prompts)


def test_several_networks_forecast_their_mean(together: AutoCasForecaster, hour_cases: list[Case]) -> None:
    examples = examples_of(together, hour_cases[:9])
    alone = []
    for net in together.nets:
        single = new(TOGETHER)
        single.nets = (net,)
        alone.append(np.log2(1.0 + single.forecast(examples).increment))
    assert not np.array_equal(alone[0], alone[1])
    np.testing.assert_allclose(np.log2(1.0 + together.forecast(examples).increment), np.mean(alone, axis=0), atol=1e-4)


def test_a_frozen_backbone_is_the_same_to_the_bit_after_training(hour_cases: list[Case]) -> None:
    config = replace(SMALL, frozen=True)
    seen: list[dict[str, torch.Tensor]] = []
    forecaster = new(config)
    untrained = new(config).fit(hour_cases[:20], hour_cases[20:40], epochs=0)
    forecaster.fit(hour_cases[:20], hour_cases[20:40], epochs=3)
    for one in (untrained, forecaster):
        assert one.nets
        assert one.nets[0].scratch is not None
        seen.append(one.nets[0].scratch.state_dict())
    assert all(torch.equal(tensor, seen[1][name]) for name, tensor in seen[0].items())
    assert untrained.nets
    assert forecaster.nets
    assert not torch.equal(untrained.nets[0].prompts, forecaster.nets[0].prompts)


@pytest.mark.parametrize("which", ["paper", "together", "rolling"])
def test_forecasts_survive_their_files(
    which: str, hour_cases: list[Case], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    forecaster: AutoCasForecaster = request.getfixturevalue(which)
    forecaster.save(tmp_path)
    loaded = AutoCasForecaster.load(tmp_path)
    examples = examples_of(forecaster, hour_cases[:20])
    first, again = forecaster.forecast(examples), loaded.forecast(examples)
    np.testing.assert_array_equal(first.increment, again.increment)
    np.testing.assert_array_equal(first.trajectory_increments, again.trajectory_increments)
    np.testing.assert_allclose(first.low, again.low, rtol=1e-5)
    text = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(text.replace('"width": 16', '"width": 8'))
    with pytest.raises(ModelStoreError, match="fit its config"):
        AutoCasForecaster.load(tmp_path)
    (tmp_path / "config.json").write_text(text.replace('"prompts"', '"promts"'))
    with pytest.raises(ModelStoreError, match="damaged"):
        AutoCasForecaster.load(tmp_path)


def test_a_missing_language_model_is_named_with_its_mend(
    paper: AutoCasForecaster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(ModelStoreError, match=r"pip install 'cascadecast\[llm\]'"):
        load_language_model("gpt2")
    paper.save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["fit"]["model"]["backbone"] = "gpt2"
    config["backbone"] = {"name": "gpt2", "initial": "pretrained", "xxh3_128": "0" * 32}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelStoreError, match="'gpt2' needs transformers"):
        AutoCasForecaster.load(tmp_path)


def test_the_correction_of_a_rolling_model_starts_at_nothing(hour_cases: list[Case]) -> None:
    """Before the first epoch a rolling model says exactly what its context says."""
    forecaster = new(ROLLING).fit(hour_cases[:40], hour_cases[40:50], epochs=0)
    assert forecaster.nets
    assert float(forecaster.nets[0].total.weight.abs().sum()) == 0.0
    assert float(forecaster.nets[0].total.bias.abs().sum()) == 0.0


def test_trajectories_come_from_the_roll_out(rolling: AutoCasForecaster) -> None:
    """Two cascades of one total may grow along different curves."""
    found = rolling.forecast(examples_of(rolling, rolling_cases(random_cascades(12, seed=5), DAY, ages=[3600.0])))
    shares = found.trajectory_increments / np.maximum(found.increment, 1e-9)[:, None]
    assert np.ptp(shares[:, 6]) > 1e-4


def test_learns_where_only_the_total_is_known() -> None:
    """Files of the first hour, whose growth stands on the root line, have no future steps to teach."""
    labelled = []
    for number, cascade in enumerate(paced(30)):
        mine = LabelledCascade(cascade.id, "hour")
        mine.apply(Event(id=cascade.id, cascade=cascade.id, kind=Kind.POST, time=1e9, user="author"))
        for i, age in enumerate(cascade.view(1e9 + 3599.0).reshare_ages):
            mine.apply(Event(id=f"e{i}", cascade=cascade.id, kind=Kind.REPOST, time=1e9 + float(age)))
        mine.label = GrowthLabel(3600.0, DAY, 10 * number)
        labelled.append(mine)
    found = cases(labelled, 3600.0, DAY)
    for config in (SMALL, ROLLING):
        forecaster = new(config).fit(found[:20], found[20:], epochs=1)
        assert np.isfinite(forecaster.forecast(examples_of(forecaster, found)).increment).all()


def test_a_bound_on_cases_is_kept_and_drawn_by_the_seed(hour_cases: list[Case]) -> None:
    bounded = replace(SMALL, training_cases=20, validation_cases=5, epochs=1)
    first, other = (new(bounded).fit(hour_cases[:80], hour_cases[80:], seed=seed) for seed in (0, 1))
    assert first.nets
    assert other.nets
    assert not torch.equal(first.nets[0].centre, other.nets[0].centre)


def test_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no cases to train on"):
        AutoCasForecaster().fit([], [])
    with pytest.raises(ModelStoreError, match="train autocas"):
        AutoCasForecaster().forecast([AutoCasForecaster().prepare(paced(1)[0], 1e9 + 60.0, DAY)])
    with pytest.raises(ModelStoreError, match="nothing to save"):
        AutoCasForecaster().save(tmp_path)


def test_variants_are_the_papers_protocol_and_any_language_model() -> None:
    assert set(AutoCasForecaster.variants()) == set(LISTED)
    assert all(not answers_any_age(f"autocas:{name}") for name in LISTED)
    packaged = new_forecaster("autocas:paper-random-llm=gemma3-270m")
    assert isinstance(packaged, AutoCasForecaster)
    assert (packaged.config.backbone, packaged.config.initial) == ("gemma3-270m", "random")
    of_directory = named("llm=/models/a:b")
    assert of_directory is not None
    assert (of_directory.backbone, of_directory.context) == ("/models/a:b", True)
    with pytest.raises(ModelStoreError, match="unknown variant"):
        new_forecaster("autocas:paper-llm=")
