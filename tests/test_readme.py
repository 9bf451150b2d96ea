"""The README's example is what its commands give."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from graph.ordering import ordered
from graph.simulation import Simulation
from graph.simulator import simulated_events
from streams.engine.forecast_file import forecast_events
from streams.engine.inference import load_service
from streams.records import ForecastRecord
from streams.settings import Settings

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_record_that_is_shown_is_made_of_the_events_that_are_simulated(tmp_path: Path) -> None:
    (block,) = re.findall(r'```json\n(\{"v":1.*?)```', README, re.DOTALL)
    shown = msgspec.json.decode(block, type=ForecastRecord)
    law = Simulation(seed=1, hours=6.0, lifetime_hours=25.0)
    settings = Settings(models=("blend",), models_dir=tmp_path)
    # of all posts, since the others tell which platform this one is of
    made = forecast_events(ordered(simulated_events(law, 200)), settings, load_service(settings))
    (record,) = islice((one for one in made if one.id == shown.id), 1)
    numbers = ("expected", "low", "high", "growth_per_hour")
    assert [getattr(record, name) for name in numbers] == pytest.approx(
        [getattr(shown, name) for name in numbers], 1e-3
    )
    assert [size for _, size in record.trajectory] == pytest.approx([size for _, size in shown.trajectory], 1e-3)
    exact = ("cascade", "as_of", "age_seconds", "observed", "model_version", "event")
    assert [getattr(record, name) for name in exact] == [getattr(shown, name) for name in exact]
