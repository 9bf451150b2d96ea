"""The model store: versions that never change, aliases that may, paths that stay inside."""

from __future__ import annotations

import json
import math
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasters.dataset import cases
from forecasters.errors import ModelStoreError
from forecasters.hawkes import HawkesForecaster
from forecasters.mean import MeanForecaster
from forecasters.model_files import checked_name, read_config, read_tensors, write_config, write_tensors
from forecasters.model_lookup import find_alias, find_model, find_tenures, load_forecaster
from forecasters.model_store import ModelStore
from tests.forecasters.cascades import random_cascades


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture(scope="module")
def mean() -> MeanForecaster:
    return MeanForecaster().fit(cases(random_cascades(20), 3600.0, 86_400.0), [])


def test_a_published_version_has_config_and_card_and_is_loadable(store: ModelStore, mean: MeanForecaster) -> None:
    stored = store.publish(mean, training={"seed": 3}, card="# Mean\n")
    assert (stored.name, stored.version, stored.aliases) == ("mean", "1", ("champion",))
    assert stored.config()["training"] == {"seed": 3}
    assert stored.config()["version"] == "1"
    assert stored.card() == "# Mean\n"
    again = stored.load()
    assert isinstance(again, MeanForecaster)
    assert again.version == "1"
    np.testing.assert_allclose(again.means, mean.means)


def test_versions_count_up_and_compare_as_numbers(store: ModelStore, mean: MeanForecaster) -> None:
    for _ in range(11):
        store.publish(mean)
    assert store.versions("mean") == [str(n) for n in range(1, 12)]
    assert store.names() == ["mean"]


def test_a_version_never_changes(store: ModelStore, mean: MeanForecaster) -> None:
    store.publish(mean, version="a")
    with pytest.raises(ModelStoreError, match="versions never change"):
        store.publish(mean, version="a")


def test_a_failed_write_leaves_nothing_behind(store: ModelStore, mean: MeanForecaster) -> None:
    def broken(_: object) -> str:
        raise RuntimeError("disk on fire")

    with pytest.raises(RuntimeError):
        store.publish(mean, card=broken)
    assert store.versions("mean") == []
    assert list((store.root / "mean").iterdir()) == []


def test_promoting_and_rolling_back(store: ModelStore, mean: MeanForecaster) -> None:
    for version in ("1", "2", "3"):
        store.publish(mean, version=version)
    assert store.aliases("mean") == {"champion": "1"}
    store.promote("mean", "2")
    store.promote("mean", "3", "challenger")
    store.promote("mean", "3")
    assert store.aliases("mean") == {"champion": "3", "challenger": "3"}
    assert [getattr(store.rollback("mean"), "version", None) for _ in range(2)] == ["2", "1"]
    assert store.aliases("mean") == {"champion": "1", "challenger": "3"}
    with pytest.raises(ModelStoreError, match="no earlier champion"):
        store.rollback("mean")


def test_only_what_exists_can_be_promoted(store: ModelStore, mean: MeanForecaster) -> None:
    store.publish(mean)
    with pytest.raises(ModelStoreError, match="versions: 1"):
        store.promote("mean", "9")
    with pytest.raises(ModelStoreError, match="unknown alias"):
        store.promote("mean", "1", "emperor")


@pytest.mark.parametrize("spec", ["mean", "mean@1", "mean@champion"])
def test_a_model_is_found_by_name_version_or_alias(store: ModelStore, mean: MeanForecaster, spec: str) -> None:
    store.publish(mean)
    assert load_forecaster(spec, store.root).version == "1"


def test_the_environment_names_the_store(
    store: ModelStore, mean: MeanForecaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.publish(mean)
    monkeypatch.setenv("CASCADECAST_MODELS_DIR", str(store.root))
    assert load_forecaster("mean").version == "1"


def test_shipped_models_are_found_and_the_users_own_come_first(store: ModelStore) -> None:
    shipped = find_model("hawkes", store.root)
    assert shipped is not None
    assert shipped.shipped
    store.publish(HawkesForecaster(), version="mine")
    found = find_model("hawkes", store.root)
    assert found is not None
    assert (found.version, found.shipped) == ("mine", False)
    assert load_forecaster(f"hawkes@{shipped.version}", store.root).version == shipped.version


def test_shipped_models_cannot_be_changed(tmp_path: Path, mean: MeanForecaster) -> None:
    with pytest.raises(ModelStoreError, match="read only"):
        ModelStore(tmp_path, shipped=True).publish(mean)


def test_what_must_be_trained_says_so(store: ModelStore) -> None:
    with pytest.raises(ModelStoreError, match="cascadecast train ridge"):
        load_forecaster("ridge", store.root)
    with pytest.raises(ModelStoreError, match="models list"):
        load_forecaster("ridge@7", store.root)
    with pytest.raises(ModelStoreError, match="the models are"):
        load_forecaster("oracle", store.root)


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "a..b", "/etc", "a\\b", "x" * 65, "a b", "ä", "a\n"])
def test_no_name_leads_out_of_the_store(store: ModelStore, name: str) -> None:
    with pytest.raises(ModelStoreError):
        store.versions(name)
    with pytest.raises(ModelStoreError):
        store.get("mean", name)


@given(st.text(max_size=20))
def test_an_accepted_name_is_one_plain_path_component(name: str) -> None:
    try:
        accepted = checked_name(name)
    except ModelStoreError:
        return
    root = Path("/store")
    assert (root / accepted).resolve().parent == root
    assert Path(accepted).name == accepted


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"format": 99, "forecaster": "mean"}', '{"format": 1, "forecaster": "x"}']
)
def test_a_damaged_or_foreign_config_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ModelStoreError, match=r"config\.json"):
        read_config(tmp_path, "mean")


def test_configs_hold_only_finite_numbers(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_config(tmp_path, {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_tensors_survive_the_disk_and_damage_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelStoreError, match="missing"):
        read_tensors(tmp_path)
    weights = np.arange(6.0).reshape(2, 3)
    write_tensors(tmp_path, {"w": weights.T})
    np.testing.assert_array_equal(read_tensors(tmp_path)["w"], weights.T)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(ModelStoreError, match=r"model\.safetensors"):
        read_tensors(tmp_path)


@pytest.mark.parametrize("version", ["gone", "../other", "/etc", "", "../mean/1"])
def test_an_alias_of_what_is_no_version_does_not_count(store: ModelStore, mean: MeanForecaster, version: str) -> None:
    store.publish(mean)
    (store.root / "other").mkdir()
    (store.root / "other" / "config.json").write_text("{}")
    path = store.root / "mean" / "aliases.json"
    path.write_text(json.dumps({"aliases": {"champion": version}, "history": []}))
    assert store.tenures("mean", "champion") == ()
    assert store.aliases("mean") == {}


def test_a_shipped_version_is_promoted_by_reference(store: ModelStore) -> None:
    shipped = find_model("hawkes", store.root)
    assert shipped is not None
    mine = store.publish(HawkesForecaster())
    assert mine.version != shipped.version, "the ids of forecasts rest on name and version"
    promoted = store.promote("hawkes", shipped.version)
    assert (promoted.shipped, promoted.directory) == (True, shipped.directory)
    assert load_forecaster("hawkes", store.root).version == shipped.version
    back = store.rollback("hawkes")
    assert back is not None
    assert back.version == mine.version
    with pytest.raises(ModelStoreError, match="shipped version"):
        store.publish(HawkesForecaster(), version=shipped.version)


def test_before_a_promotion_with_a_time_speaks_what_spoke_before(store: ModelStore) -> None:
    shipped = find_model("hawkes", store.root)
    assert shipped is not None
    store.promote("hawkes", shipped.version)
    mine = store.publish(HawkesForecaster())
    store.promote("hawkes", mine.version, since=1000.0)
    assert [(since, found.version) for since, found in find_tenures("hawkes", store.root)] == [
        (-math.inf, shipped.version),
        (1000.0, mine.version),
    ]


def test_a_version_is_not_called_as_an_alias_is(store: ModelStore, mean: MeanForecaster) -> None:
    with pytest.raises(ModelStoreError, match="is an alias"):
        store.publish(mean, version="challenger")


def test_the_last_challenger_can_be_taken_away(store: ModelStore, mean: MeanForecaster) -> None:
    store.publish(mean)
    store.promote("mean", "1", "challenger")
    assert find_alias("mean", "challenger", store.root) is not None
    assert store.rollback("mean", "challenger") is None
    assert find_alias("mean", "challenger", store.root) is None


# --- a store from somewhere else


@pytest.mark.parametrize("name", ["../mean", "/etc", "mean/../../x", "..", ".", "", "a\x00b", "a\nb"])
def test_no_name_of_a_model_or_version_leads_out_of_the_store(
    store: ModelStore, mean: MeanForecaster, name: str
) -> None:
    store.publish(mean)
    with pytest.raises(ModelStoreError):
        store.get(name, "1")
    with pytest.raises(ModelStoreError):
        store.get("mean", name)
    with pytest.raises(ModelStoreError):
        store.promote("mean", name)
    with pytest.raises(ModelStoreError):
        find_model(f"mean@{name}" if name else "mean@/", store.root)


def test_a_version_that_is_a_link_out_of_the_store_is_not_loaded(
    store: ModelStore, mean: MeanForecaster, tmp_path: Path
) -> None:
    stored = store.publish(mean)
    outside = tmp_path / "outside"
    stored.directory.rename(outside)
    stored.directory.symlink_to(outside)
    with pytest.raises(ModelStoreError, match="leads out of"):
        store.get("mean", "1")


def test_a_file_that_is_a_link_out_of_its_model_is_not_read(tmp_path: Path) -> None:
    model, outside = tmp_path / "model", tmp_path / "outside"
    for directory in (model, outside):
        directory.mkdir()
    write_config(outside, {"forecaster": "mean"})
    write_tensors(outside, {"a": np.zeros(1)})
    for file, read in (("config.json", read_config), ("model.safetensors", read_tensors)):
        (model / file).symlink_to(outside / file)
        with pytest.raises(ModelStoreError, match="leads out of"):
            read(model)


def test_a_store_may_itself_lie_behind_a_link(store: ModelStore, mean: MeanForecaster, tmp_path: Path) -> None:
    store.publish(mean)
    (tmp_path / "link").symlink_to(store.root)
    assert ModelStore(tmp_path / "link").get("mean", "1").load().name == "mean"


def test_a_pickle_in_the_place_of_tensors_is_refused_and_not_run(tmp_path: Path) -> None:
    witness = tmp_path / "ran"

    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return witness.touch, ()

    (tmp_path / "model.safetensors").write_bytes(pickle.dumps(Payload()))
    with pytest.raises(ModelStoreError, match="damaged"):
        read_tensors(tmp_path)
    assert not witness.exists()


def test_nothing_that_is_read_can_hold_code() -> None:
    root = Path(__file__).parents[2]
    forbidden = re.compile(
        r"\bpickle\b\.|joblib|allow_pickle=True|weights_only=False|yaml\.load|(?<![.\w])(?:eval|exec)\("
    )
    sources = [path for package in ("graph", "forecasters", "streams") for path in (root / package).rglob("*.py")]
    assert len(sources) > 100
    assert not [path for path in sources if forbidden.search(path.read_text(encoding="utf-8"))]
