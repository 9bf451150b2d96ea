"""A batch of forecasts: each model is asked once, and a blend says what it would say by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from forecasters.base import Example, Forecasts
from forecasters.blend import BlendForecaster
from forecasters.blend.experts import Expert
from forecasters.intervals import ConformalIntervals
from forecasters.platform_votes import PopulationVotes
from streams.engine.blending import Round, calibrated
from streams.engine.due import Due
from streams.engine.inference import ForecastService
from streams.engine.partition import Partition
from streams.scoring.learned import Learned
from streams.scoring.learning import NOTHING
from tests.streams.conftest import Doubling, cascade_events
from tests.streams.learning_engine import Swayed, Tenfold, blend, learning_settings


def dues(count: int = 6) -> list[Due]:
    partition = Partition(0, learning_settings())
    found = []
    for number in range(count):
        partition.apply_events(cascade_events(f"c{number}", 1000.0, [10.0 * (n + 1) for n in range(number + 1)]))
        cascade = partition.store.get(f"c{number}")
        assert cascade is not None
        found.append(Due(partition, cascade.view(1900.0), 1900.0, "e", NOTHING, keep=False))
    return found


class Counting(Doubling):
    """Counts what it is asked."""

    def __init__(self) -> None:
        self.prepared = 0

    def prepare(self, graph: object, as_of: float, horizon_seconds: float) -> Example:
        self.prepared += 1
        return super().prepare(graph, as_of, horizon_seconds)  # type: ignore[arg-type]


def test_an_expert_that_is_a_model_of_the_lineup_is_asked_once() -> None:
    counting = Counting()
    both = BlendForecaster([Expert(counting, stored=True), Expert(Tenfold(), stored=True)])
    both.fitted = True
    service = ForecastService([both, counting], 7200.0)
    runs = service.forecast(dues())
    assert [len(run.records) for run in runs] == [6, 6]
    assert counting.prepared == 6


def test_a_model_is_told_what_the_posts_of_each_source_resemble() -> None:
    votes = {"": PopulationVotes({"many": 3.0, "few": 1.0}), "elsewhere": PopulationVotes({"many": 5.0})}
    told = [replace(due, learned=Learned(votes=votes)) for due in dues(2)]
    told.append(replace(told[1], view=replace(told[1].view, root_source="elsewhere")))
    asked = Round(7200.0)
    sizes = np.array([due.view.size for due in told])
    np.testing.assert_allclose(asked.ask(Swayed(), told).increment, sizes * [17.5, 17.5, 20.0])
    np.testing.assert_allclose(Round(7200.0).ask(Swayed(), dues(2)).increment, sizes[:2] * 10.0)
    own = weighed(Expert(Doubling(), stored=True), Expert(Swayed(), stored=True), weights=[0.0, 1.0])
    np.testing.assert_allclose(asked.ask(own, told).increment, sizes * [17.5, 17.5, 20.0], rtol=1e-6)
    assert asked.votes(own, told) == asked.votes(Swayed(), told) == ["few"] * 3
    assert asked.votes(Doubling(), told) == [""] * 3


def test_an_expert_fitted_with_the_blend_is_not_taken_for_the_model_of_its_name() -> None:
    counting, own = Counting(), Counting()
    both = BlendForecaster([Expert(own, stored=False), Expert(Tenfold(), stored=True)])
    both.fitted = True
    ForecastService([both, counting], 7200.0).forecast(dues())
    assert (counting.prepared, own.prepared) == (6, 6)


def weighed(*experts: Expert, weights: Sequence[float]) -> BlendForecaster:
    """A blend of these weights at all ages."""
    found = BlendForecaster(list(experts))
    found.weights.weights[:] = weights
    found.fitted = True
    return found


def test_an_expert_that_weighs_nothing_is_asked_to_teach_alone() -> None:
    counting = Counting()
    model = weighed(Expert(Tenfold(), stored=True), Expert(counting, stored=True), weights=[1.0, 0.0])
    service = ForecastService([model], 7200.0)
    (run,) = service.forecast(dues())
    assert (len(run.records), counting.prepared) == (6, 0)
    kept = [replace(due, keep=True, teach=number == 2) for number, due in enumerate(dues())]
    (taught,) = service.forecast(kept)
    assert [record.expected for record in taught.records] == [record.expected for record in run.records]
    assert counting.prepared == 1
    answers = [(answer.due.cascade, answer.model, answer.experts) for answer in taught.answers]
    experts = ("tenfold@1", "doubling@1")
    assert answers.count(("c2", "blend@0", experts)) == 1
    assert [answer for answer in answers if answer[1] in experts] == [("c2", expert, ()) for expert in experts]
    assert sum(answer[1:] == ("blend@0", ()) for answer in answers) == 5
    (said,) = [answer.values.increment for answer in taught.answers if answer.model == "doubling@1"]
    assert said == 3.0


def test_a_model_of_the_lineup_is_asked_once_where_the_blend_hears_it_at_some_ages() -> None:
    counting = Counting()
    model = weighed(Expert(Tenfold(), stored=True), Expert(counting, stored=True), weights=[1.0, 0.0])
    kept = [replace(due, keep=True, teach=True) for due in dues()]
    runs = ForecastService([model, counting], 7200.0).forecast(kept)
    assert [run.model for run in runs] == ["blend", "doubling"]
    assert counting.prepared == 6


class Telling(Doubling):
    """Knows two populations: small cascades and large ones."""

    population_names = ("few", "many")

    def populations(self, examples: Sequence[Example]) -> NDArray[np.int64]:
        return np.array([int(example.observed > 3) for example in examples])


def test_says_what_the_blend_says_by_itself() -> None:
    """Where nothing was learned; by populations too, where an expert tells them."""
    model = BlendForecaster([Expert(Tenfold(), stored=True), Expert(Telling(), stored=True)])
    ages, sizes = np.full(400, 900.0), np.full(400, 5.0)
    rng = np.random.default_rng(0)
    group = rng.integers(0, 2, 400)
    truth = 50 * np.exp2(rng.normal(size=400) * (1 + 2 * group))
    model.intervals = ConformalIntervals.fit(np.full(400, 50.0), truth, ages, sizes, group=group)
    model.fitted = True
    waiting = dues()
    examples = [
        model.prepare(due.partition.store.get(due.cascade), due.as_of, 7200.0)  # type: ignore[arg-type]
        for due in waiting
    ]
    alone, streamed = model.forecast(examples), Round(7200.0).ask(model, waiting)
    for name in Forecasts.__dataclass_fields__:
        np.testing.assert_allclose(getattr(streamed, name), getattr(alone, name), rtol=1e-12, err_msg=name)
    assert streamed.high[5] / streamed.increment[5] > 1.5 * streamed.high[2] / streamed.increment[2]


class Reading(Telling):
    """Tells by what it prepared."""

    def prepare(self, graph: object, as_of: float, horizon_seconds: float) -> Example:
        return replace(super().prepare(graph, as_of, horizon_seconds), inputs={"population": np.ones(1, np.int64)})  # type: ignore[arg-type]

    def populations(self, examples: Sequence[Example]) -> NDArray[np.int64]:
        return np.concatenate([example.inputs["population"] for example in examples])


def test_who_tells_populations_is_prepared_for_whatever_it_weighs() -> None:
    model = weighed(Expert(Tenfold(), stored=True), Expert(Reading(), stored=True), weights=[1.0, 0.0])
    (due, *_) = dues()
    example = model.prepare(due.partition.store.get(due.cascade), due.as_of, 7200.0)  # type: ignore[arg-type]
    assert model.populations([example]).tolist() == [1]  # type: ignore[union-attr]
    assert len(model.forecast([example]).increment) == 1


def test_without_anything_learned_bounds_stay_to_the_bit() -> None:
    waiting = dues()
    own = Round(7200.0).ask(blend(), waiting)
    moved = calibrated("blend@3", own, waiting)
    assert moved.low.tolist() == own.low.tolist()
    assert moved.high.tolist() == own.high.tolist()
