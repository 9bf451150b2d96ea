"""A service follows the model store: promotions are put to use, what is broken is refused, what works stays."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from forecasters.dataset import cases
from forecasters.mean import MeanForecaster
from forecasters.model_store import ModelStore
from forecasters.promotions import ALIASES_FILE
from graph.errors import UserError
from streams.engine.inference import ForecastService, load_service
from streams.engine.lineup_loading import LineupLoader
from streams.metrics import WorkerMetrics
from streams.settings import Settings
from streams.worker.model_watch import RETRY_SECONDS, ModelWatch
from tests.forecasters.cascades import random_cascades


class Rig:
    """A store with three versions of one model, and a service that follows it."""

    def __init__(self, directory: Path, **settings: object) -> None:
        self.store = ModelStore(directory)
        model = MeanForecaster().fit(cases(random_cascades(20), 3600.0, 86_400.0), [])
        for version in ("1", "2", "3"):
            model.means = np.asarray(model.means) + 1.0
            self.store.publish(model, version=version)
        self.settings = Settings(models=("mean",), models_dir=directory).model_copy(update=settings)
        self.metrics = WorkerMetrics()
        self.now = 0.0
        self.loader = LineupLoader(self.settings, challengers=True)

    def start(self) -> ForecastService:
        self.service = load_service(self.settings, self.loader)
        self.metrics.show_lineup(self.service.lineup)
        self.watch = ModelWatch(self.loader, self.service, self.metrics, clock=lambda: self.now)
        return self.service

    def loaded(self) -> list[tuple[str, str, float]]:
        """Role, version and first event time of whatever is loaded."""
        seats = self.service.lineup.seats
        return [(seat.role.value, tenure.model.version, tenure.since) for seat in seats for tenure in seat.tenures]

    def counted(self, name: str, role: str = "champion") -> float:
        return (
            self.metrics.registry.get_sample_value(f"cascadecast_model_{name}_total", {"model": "mean", "role": role})
            or 0.0
        )

    def shown(self) -> set[tuple[str, str]]:
        return {
            (sample.labels["version"], sample.labels["role"])
            for family in self.metrics.registry.collect()
            if family.name == "cascadecast_model_info"
            for sample in family.samples
        }

    def break_version(self, version: str) -> bytes:
        config = self.store.root / "mean" / version / "config.json"
        content = config.read_bytes()
        config.write_text("{")
        return content

    def mend_version(self, version: str, content: bytes) -> None:
        (self.store.root / "mean" / version / "config.json").write_bytes(content)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    rig = Rig(tmp_path)
    rig.start()
    return rig


def test_nothing_is_loaded_again_as_long_as_nothing_changes(rig: Rig) -> None:
    before = rig.service.lineup
    assert not rig.watch.look()
    rig.store.promote("mean", "1")  # once more, the same
    assert not rig.watch.look()
    assert rig.service.lineup is before
    assert rig.counted("swaps") == 0


def test_a_promotion_is_put_to_use_and_a_roll_back_undoes_it(rig: Rig) -> None:
    rig.store.promote("mean", "2")
    assert rig.watch.look()
    assert rig.loaded() == [("champion", "2", -math.inf)]
    assert rig.shown() == {("2", "champion")}
    rig.store.rollback("mean")
    assert rig.watch.look()
    assert rig.loaded() == [("champion", "1", -math.inf)]
    assert rig.counted("swaps") == 2


def test_a_promotion_from_an_event_time_keeps_the_earlier_version_for_earlier_times(rig: Rig) -> None:
    old = rig.service.lineup.seats[0].tenures[0].model
    rig.store.promote("mean", "2", since=1000.0)
    assert rig.watch.look()
    assert rig.loaded() == [("champion", "1", -math.inf), ("champion", "2", 1000.0)]
    assert rig.service.lineup.seats[0].tenures[0].model is old, "what is loaded is not loaded again"
    assert Rig.loaded(_started_again(rig)) == rig.loaded(), "a worker that starts afterwards holds the same"


def _started_again(rig: Rig) -> Rig:
    again = object.__new__(Rig)
    again.service = load_service(rig.settings)
    return again


def test_a_broken_version_is_refused_and_the_old_one_stays(rig: Rig) -> None:
    before = rig.service.lineup
    content = rig.break_version("2")
    rig.store.root.joinpath("mean", ALIASES_FILE).write_text('{"aliases": {"champion": "2"}}')
    assert not rig.watch.look()
    assert rig.service.lineup is before
    assert rig.counted("load_failures") == 1
    assert not rig.watch.look(), "not tried again at every look"
    assert rig.counted("load_failures") == 1
    rig.mend_version("2", content)  # the rest of it has arrived
    rig.now += RETRY_SECONDS
    assert rig.watch.look()
    assert rig.loaded() == [("champion", "2", -math.inf)]


def test_a_version_that_fails_its_trial_is_refused(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise UserError("mean 2 failed its trial forecast")

    monkeypatch.setattr("streams.engine.lineup_loading.try_out", fail)
    rig.store.promote("mean", "2")
    assert not rig.watch.look()
    assert rig.loaded() == [("champion", "1", -math.inf)]


def test_one_refused_model_does_not_hold_up_the_others(rig: Rig) -> None:
    rig.break_version("3")
    rig.store.promote("mean", "3", "challenger")
    rig.store.promote("mean", "2")
    assert rig.watch.look()
    assert rig.loaded() == [("champion", "2", -math.inf)]
    assert (rig.counted("load_failures", "challenger"), rig.counted("load_failures")) == (1, 0)


def test_a_damaged_alias_file_changes_nothing(rig: Rig) -> None:
    path = rig.store.root / "mean" / ALIASES_FILE
    whole = path.read_text()
    path.write_text(whole[:20])
    assert not rig.watch.look()
    assert rig.loaded() == [("champion", "1", -math.inf)]
    path.write_text(whole)
    rig.store.promote("mean", "2")
    assert rig.watch.look()


def test_a_challenger_comes_and_goes(rig: Rig) -> None:
    rig.store.promote("mean", "3", "challenger")
    assert rig.watch.look()
    assert rig.loaded() == [("champion", "1", -math.inf), ("challenger", "3", -math.inf)]
    assert rig.shown() == {("1", "champion"), ("3", "challenger")}
    assert rig.counted("swaps", "challenger") == 1
    rig.store.rollback("mean", "challenger")
    assert rig.watch.look()
    assert rig.loaded() == [("champion", "1", -math.inf)]


@pytest.mark.parametrize(
    ("challengers", "expected"),
    [(("all",), ["2"]), (("none",), []), (("mean",), ["2"]), (("mean@3",), ["3"]), (("hawkes",), [])],
)
def test_the_settings_say_whose_challengers_speak(
    tmp_path: Path, challengers: tuple[str, ...], expected: list[str]
) -> None:
    rig = Rig(tmp_path, challengers=challengers)
    rig.store.promote("mean", "2", "challenger")
    rig.start()
    assert [version for role, version, _ in rig.loaded() if role == "challenger"] == expected


def test_a_file_run_has_champions_only(rig: Rig) -> None:
    rig.store.promote("mean", "2", "challenger")
    assert [seat.role.value for seat in load_service(rig.settings).lineup.seats] == ["champion"]


def test_a_worker_does_not_start_with_a_broken_champion_and_says_what_to_do(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.store.promote("mean", "2")
    rig.break_version("2")
    with pytest.raises(UserError, match="cascadecast models rollback mean"):
        rig.start()


def test_a_worker_starts_without_a_broken_challenger(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.store.promote("mean", "2", "challenger")
    rig.break_version("2")
    rig.start()
    assert rig.loaded() == [("champion", "1", -math.inf)]


def test_a_version_given_in_the_settings_stays(tmp_path: Path) -> None:
    rig = Rig(tmp_path, models=("mean@1",))
    rig.start()
    rig.store.promote("mean", "2")
    assert not rig.watch.look()
    assert rig.loaded() == [("champion", "1", -math.inf)]
