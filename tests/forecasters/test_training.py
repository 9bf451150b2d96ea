"""Training as a library: what is trained on, which seed is published, what the card says."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from forecasters.blend import BlendForecaster
from forecasters.dataset import DatasetError, rolling_cases
from forecasters.model_lookup import load_forecaster
from forecasters.model_store import ModelStore
from forecasters.training import train_version, training_split
from forecasters.training_plan import DataFile, TrainingPlan, device_named
from graph.errors import UserError
from tests.forecasters.cascades import random_cascades

DAY = 86_400.0
CASCADES = random_cascades(80)
FILES = [DataFile("d", "h", 80)]


def test_training_writes_a_version_whose_card_says_what_was_measured(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    stored, results = train_version(
        CASCADES, TrainingPlan("ridge", DAY), store, files=[DataFile("some.jsonl", "abc", 80)]
    )
    assert math.isfinite(results["msle"])
    assert results["train_cases"] > results["test_cases"] > 0
    for said in ("some.jsonl", "abc", "rolling", "24h", f"{results['msle']:.4g}"):
        assert said in stored.card()
    assert stored.config()["training"]["results"]["msle"] == results["msle"]
    assert load_forecaster("ridge", tmp_path).version == "1"


def test_training_can_be_repeated_to_the_bit(tmp_path: Path) -> None:
    one, two = (
        train_version(CASCADES, TrainingPlan("ridge", DAY, seed=4), ModelStore(tmp_path / d), files=FILES)[0]
        for d in ("one", "two")
    )
    assert (one.directory / "model.safetensors").read_bytes() == (two.directory / "model.safetensors").read_bytes()


def test_a_plan_for_given_ages_cuts_there_and_a_rolling_one_anywhere() -> None:
    fixed = training_split(CASCADES, TrainingPlan("ridge", DAY, (1800.0, 3600.0)))
    ages = {round(case.as_of - case.graph.root_time) for case in fixed.train}
    assert ages == {1800, 3600}
    rolling = training_split(CASCADES, TrainingPlan("ridge", DAY, seed=2))
    everything = rolling_cases(CASCADES, DAY, seed=2)
    assert len(rolling.train) + len(rolling.validation) + len(rolling.test) == len(everything)


def test_too_few_cascades_and_a_taken_version_are_refused(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    with pytest.raises(DatasetError, match="20 are needed"):
        train_version(CASCADES[:5], TrainingPlan("mean", DAY), store, files=FILES)
    train_version(CASCADES, TrainingPlan("mean", DAY), store, files=FILES, version="a")
    with pytest.raises(UserError, match="choose another --version"):
        train_version(CASCADES, TrainingPlan("mean", DAY), store, files=FILES, version="a")


def test_the_best_seed_by_validation_is_published_and_all_are_told(tmp_path: Path) -> None:
    plan = TrainingPlan("lightgbm", DAY, (3600.0,), seeds=(0, 1, 2))
    stored, results = train_version(CASCADES, plan, ModelStore(tmp_path), files=FILES)
    training = stored.config()["training"]
    seeds = training["seeds_results"]
    assert [row["seed"] for row in seeds] == [0, 1, 2]
    best = min(seeds, key=lambda row: row["validation_msle"])
    assert training["published_seed"] == best["seed"]
    assert results["msle"] == pytest.approx(best["test_msle"], abs=1e-6)
    card = stored.card()
    assert "### All seeds" in card
    assert "--observe 1h --horizon 24h --split random --seed 0 --seeds 0,1,2" in card
    assert not list(tmp_path.rglob(".checkpoint*"))


def test_the_card_has_all_baselines_and_what_it_costs(tmp_path: Path) -> None:
    files = [DataFile("one.jsonl", "abc", 50), DataFile("two.jsonl", "def", 30)]
    card = train_version(CASCADES, TrainingPlan("ridge", DAY), ModelStore(tmp_path), files=files)[0].card()
    for name in ("mean", "log-linear", "lightgbm", "seismic", "hawkes", "ridge"):
        assert f"| 1h | {name} |" in card
    for said in ("| one.jsonl | 50 | abc |", "| two.jsonl | 30 | def |", "times hawkes in the same run", "numbers"):
        assert said in card
    assert "cascadecast train ridge --data one.jsonl --data two.jsonl --rolling" in card


def test_without_a_test_part_the_card_says_so_and_shows_what_was_measured_before(tmp_path: Path) -> None:
    earlier = train_version(CASCADES, TrainingPlan("ridge", DAY), ModelStore(tmp_path), files=FILES)[0]
    rows = earlier.config()["training"]["rows"]
    plan = TrainingPlan("ridge", DAY, split="none")
    stored, results = train_version(CASCADES, plan, ModelStore(tmp_path), files=FILES, scores=rows)
    assert "msle" not in results
    assert results["test_cases"] == 0
    assert results["train_cases"] > earlier.config()["training"]["results"]["train_cases"]
    card = stored.card()
    assert "No test part was held back" in card
    assert "The same training with a test part" in card
    assert "| 1h | lightgbm |" in card
    bare = train_version(CASCADES, plan, ModelStore(tmp_path / "other"), files=FILES)[0].card()
    assert "The same training with a test part" not in bare


def test_a_variant_is_trained_under_its_forecasters_name(tmp_path: Path) -> None:
    plan = TrainingPlan("concat:paper", DAY, (3600.0,), epochs=1)
    stored, _ = train_version(CASCADES[:25], plan, ModelStore(tmp_path), files=FILES)
    assert (stored.name, stored.config()["training"]["variant"]) == ("concat", "paper")
    assert stored.card().startswith("# concat:paper\n")


def test_cuda_where_there_is_none_and_other_devices_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(UserError, match="no CUDA device here"):
        train_version(CASCADES, TrainingPlan("ridge", DAY, device="cuda"), ModelStore(tmp_path), files=FILES)
    with pytest.raises(UserError, match="use auto, cpu, cuda"):
        device_named("abacus")


def test_the_config_is_json_without_infinities(tmp_path: Path) -> None:
    stored, _ = train_version(CASCADES, TrainingPlan("mean", DAY), ModelStore(tmp_path), files=FILES)
    json.loads((stored.directory / "config.json").read_text(), parse_constant=pytest.fail)


def test_a_blend_of_stored_experts_is_weighed_on_all_posts_that_none_of_them_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ModelStore(tmp_path)
    for name in ("mean", "ridge"):
        train_version(CASCADES, TrainingPlan(name, DAY), store, files=FILES)
    stored = lambda: BlendForecaster.of_stored(["mean", "ridge"], tmp_path)  # noqa: E731
    monkeypatch.setattr(BlendForecaster, "variants", classmethod(lambda cls: {"stored": stored}))
    plan = TrainingPlan("blend:stored", DAY, split="none")
    others = random_cascades(60, 9)
    _, known = train_version(CASCADES, plan, store, files=FILES)
    _, new = train_version(others, plan, store, files=[DataFile("e", "other", 60)])
    assert known["train_cases"] > known["validation_cases"] > 0
    assert (new["train_cases"], new["validation_cases"]) == (0, len(rolling_cases(others, DAY)))
