"""One batch of forecasts, each model asked once: a blend's experts are often models of the lineup themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from forecasters.base import Example, Forecaster, Forecasts
from forecasters.blend import BlendForecaster
from forecasters.blend.experts import Expert
from graph import Cascade, CascadeView
from streams.engine.due import Due

Question = tuple[str, tuple[int, ...]]
"""Which model is asked about which dues; these live as long as the round."""


class FrozenCascade:
    """A cascade as of one time, in the place of the live one: safe to read while the live one grows."""

    def __init__(self, view: CascadeView) -> None:
        self.frozen = view

    @property
    def id(self) -> str:
        """Id of the cascade."""
        return self.frozen.cascade

    def view(self, as_of: float) -> CascadeView:
        """The view it was frozen with; raises ValueError for any other time."""
        if as_of != self.frozen.as_of:
            raise ValueError(f"this cascade is frozen at {self.frozen.as_of}, not {as_of}")
        return self.frozen


def model_key(model: Forecaster) -> str:
    """What a model's scores are kept under."""
    return f"{model.name}@{model.version}"


def expert_key(blend: BlendForecaster, expert: Expert) -> str:
    """A stored expert is the model of that version; one fitted with the blend exists nowhere else."""
    return expert.key if expert.stored else f"{model_key(blend)}/{expert.key}"


class Round:
    """What models say of due forecasts; the same question is answered once."""

    def __init__(self, horizon_seconds: float) -> None:
        self._horizon = horizon_seconds
        self._examples: dict[Question, list[Example]] = {}
        self._answers: dict[Question, Forecasts] = {}
        self._by_expert: dict[Question, list[Forecasts]] = {}

    def ask(self, model: Forecaster, dues: Sequence[Due]) -> Forecasts:
        """The model's own forecasts, with the interval it was calibrated with."""
        return self._ask(model_key(model), model, dues)

    def experts(self, blend: BlendForecaster, dues: Sequence[Due]) -> list[Forecasts]:
        """What each expert said of the dues that a blend was asked about.

        Read only those that are to ``teach`` and those where it weighs anything: of no other was it asked.
        """
        return self._by_expert[_question(model_key(blend), dues)]

    def votes(self, model: Forecaster, dues: Sequence[Due]) -> list[str]:
        """The population that each due's post resembles by itself; empty where the model cannot tell."""
        key, teller = model_key(model), model
        if isinstance(model, BlendForecaster) and model.teller is not None:
            expert = model.experts[model.teller]
            key, teller = expert_key(model, expert), expert.forecaster
        if not teller.tells_populations:
            return [""] * len(dues)
        return teller.votes(self._prepared(key, teller, dues)) or [""] * len(dues)

    def _ask(self, key: str, model: Forecaster, dues: Sequence[Due]) -> Forecasts:
        question = _question(key, dues)
        if question not in self._answers:
            self._answers[question] = (
                self._blended(model, dues)
                if isinstance(model, BlendForecaster)
                else model.forecast(self._prepared(key, model, dues))
            )
        return self._answers[question]

    def _prepared(self, key: str, model: Forecaster, dues: Sequence[Due]) -> list[Example]:
        question = _question(key, dues)
        if question not in self._examples:
            self._examples[question] = [
                model.in_stream(
                    model.prepare(cast(Cascade, FrozenCascade(due.view)), due.as_of, self._horizon),
                    due.learned.votes_of(due.view.root_source),
                )
                for due in dues
            ]
        return self._examples[question]

    def _blended(self, blend: BlendForecaster, dues: Sequence[Due]) -> Forecasts:
        ages = np.array([due.view.age_seconds for due in dues])
        weights = np.empty((len(dues), len(blend.experts)))
        bias = np.empty(len(dues))
        for rows in alike([due.learned for due in dues]):
            learned = dues[rows[0]].learned.weights(model_key(blend), blend.prior)
            weights[rows], bias[rows] = (learned or blend.weights).at(ages[rows])
        teach = np.array([due.teach for due in dues], dtype=np.bool_)
        said = [
            self._expert(blend, expert, dues, np.flatnonzero(teach | (weights[:, number] > 0.0)))
            for number, expert in enumerate(blend.experts)
        ]
        self._by_expert[_question(model_key(blend), dues)] = said
        examples = [Example.of(due.view, self._horizon, {}) for due in dues]
        return blend.combine(examples, said, weights, bias, self._populations(blend, dues))

    def _expert(
        self, blend: BlendForecaster, expert: Expert, dues: Sequence[Due], rows: NDArray[np.int64]
    ) -> Forecasts:
        """What an expert says of the dues at ``rows``; of the others whatever is at hand."""
        key = expert_key(blend, expert)
        if (known := self._answers.get(_question(key, dues))) is not None:
            return known
        if not len(rows):
            return Forecasts.nothing(len(dues))
        asked = [dues[row] for row in rows]
        return Forecasts.placed(self._ask(key, expert.forecaster, asked), rows, len(dues))

    def _populations(self, blend: BlendForecaster, dues: Sequence[Due]) -> NDArray[np.int64] | None:
        if blend.teller is None:
            return None
        expert = blend.experts[blend.teller]
        return expert.forecaster.populations(self._prepared(expert_key(blend, expert), expert.forecaster, dues))


def _question(key: str, dues: Sequence[Due]) -> Question:
    return key, tuple(map(id, dues))


def calibrated(model: str, forecasts: Forecasts, dues: Sequence[Due]) -> Forecasts:
    """With bounds moved by what each forecast's partition has learned about the model."""
    low, high = forecasts.low.copy(), forecasts.high.copy()
    ages = np.array([due.view.age_seconds for due in dues])
    for rows in alike([due.learned for due in dues]):
        online = dues[rows[0]].learned.intervals.get(model)
        if online is not None:
            low[rows], high[rows] = online.bounds(forecasts.increment[rows], low[rows], high[rows], ages[rows])
    return replace(forecasts, low=low, high=high)


def alike(items: Sequence[object]) -> list[list[int]]:
    """Positions of the same object together: the forecasts of one partition and slot share what was learned."""
    groups: dict[int, list[int]] = {}
    for position, item in enumerate(items):
        groups.setdefault(id(item), []).append(position)
    return list(groups.values())
