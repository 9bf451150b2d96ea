"""The blend: a weighted mean of its experts' log growth, by weights that depend on age."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.base import Case, Example, Forecaster, Forecasts
from forecasters.blend.experts import (
    Expert,
    checked,
    fresh_experts,
    load_experts,
    save_experts,
    starting_shares,
    stored_experts,
)
from forecasters.blend.judging import Judged, logs_of
from forecasters.blend.moments import Moments
from forecasters.blend.out_of_fold import out_of_fold
from forecasters.blend.prior import BlendPrior
from forecasters.blend.weights import BlendWeights
from forecasters.dataset import DatasetError, Split
from forecasters.errors import ModelStoreError
from forecasters.fitting import EpochProgress, fit_forecaster
from forecasters.intervals import DEFAULT_LEVEL, ConformalIntervals
from forecasters.model_files import CONFIG_FILE, read_config, write_config
from forecasters.trajectory import MAX_INCREMENT, Relaxation, complete_forecasts, times_of, trajectory_ages
from graph import Cascade, CascadeView

Floats = NDArray[np.float64]


class BlendForecaster(Forecaster):
    """log2(1 + increment) = sum_e w_e(age) log2(1 + increment_e) + b(age); w(age) is on the simplex.

    The experts are fitted with the blend, or taken from the model store and pinned to their versions
    (``BlendForecaster.of_stored``). The weights come from their errors on validation cases. In a stream they are
    learned on by `forecasters.blend.online`, from the same moments.
    """

    name: ClassVar[str] = "blend"
    needs_training: ClassVar[bool] = True

    def __init__(self, experts: Sequence[Expert] | None = None, *, level: float = DEFAULT_LEVEL) -> None:
        self.experts = checked(fresh_experts() if experts is None else experts)
        self.level = level
        start = starting_shares(self.experts)
        self.prior = BlendPrior.ignorant(len(self.experts), start=start)
        self.weights = BlendWeights.same(start)
        self.intervals = ConformalIntervals.uncalibrated(level)
        self.relaxation = Relaxation()
        self.fitted = False

    @classmethod
    def of_fresh(cls, specs: Sequence[str]) -> Self:
        """A blend of untrained forecasters, which `fit` trains."""
        return cls(fresh_experts(specs))

    @classmethod
    def of_stored(cls, specs: Sequence[str] | None = None, directory: Path | None = None) -> Self:
        """A blend of stored forecasters (by default, of all shipped ones); `fit` finds the weights and nothing else."""
        return cls(stored_experts(specs, directory))

    def is_new_to(self, files: Collection[str]) -> bool:
        """Whether all experts are stored and none was trained on one of these files (by hash).

        Then every case of them may say what the experts are worth, not a validation part alone.
        """
        return all(expert.stored and expert.trained_on.isdisjoint(files) for expert in self.experts)

    @classmethod
    def variants(cls) -> Mapping[str, Callable[[], Forecaster]]:
        return {"stored": cls.of_stored}

    def prepare(self, graph: Cascade, as_of: float, horizon_seconds: float) -> Example:
        """By the experts that weigh anything at this age, and by the one that tells populations."""
        view = graph.view(as_of)  # held while the experts ask for it, so that it is built once
        weights, _ = self.weights.at(np.array([max(view.age_seconds, 0.0)]))
        needed = {int(number) for number in np.flatnonzero(weights[0])}
        if self.teller is not None:
            needed.add(self.teller)
        return self._prepared(graph, view, horizon_seconds, sorted(needed))

    def prepare_all(self, graph: Cascade, as_of: float, horizon_seconds: float) -> Example:
        """By every expert, as `ask_all` wants it."""
        return self._prepared(graph, graph.view(as_of), horizon_seconds, range(len(self.experts)))

    def _prepared(self, graph: Cascade, view: CascadeView, horizon_seconds: float, numbers: Iterable[int]) -> Example:
        inputs: dict[str, NDArray[Any]] = {}
        for number in numbers:
            own = self.experts[number].forecaster.prepare(graph, view.as_of, horizon_seconds).inputs
            inputs |= {f"{number}:{name}": array for name, array in own.items()}
        return Example.of(view, horizon_seconds, inputs)

    @property
    def teller(self) -> int | None:
        """The number of the first expert that tells populations."""
        return next((n for n, expert in enumerate(self.experts) if expert.forecaster.tells_populations), None)

    def forecast(self, examples: Sequence[Example]) -> Forecasts:
        self._must_be_fitted()
        age, _, _ = times_of(examples)
        weights, bias = self.weights.at(age)
        said = [self._ask(number, examples, np.flatnonzero(weights[:, number])) for number in range(len(self.experts))]
        return self.combine(examples, said, weights, bias, self.populations(examples))

    def ask_all(self, examples: Sequence[Example]) -> list[Forecasts]:
        """What each expert says of the examples, which `prepare_all` made."""
        return [self._ask(number, examples, np.arange(len(examples))) for number in range(len(self.experts))]

    def combine(
        self,
        examples: Sequence[Example],
        said: Sequence[Forecasts],
        weights: Floats,
        bias: Floats,
        group: NDArray[np.int64] | None = None,
    ) -> Forecasts:
        """The blend of what the experts ``said`` of the examples (B), by weights (B, E) and bias (B,).

        What an expert of weight 0 said is not read, nor more of the examples than their common part; ``group`` (B,) are
        their populations, where an expert tells them.
        """
        logs = logs_of(said)  # (B, E)
        growth = np.maximum(0.0, np.einsum("be,be->b", weights, logs) + bias)
        increment = np.exp2(np.minimum(growth, np.log2(1.0 + MAX_INCREMENT))) - 1.0
        unbounded = np.zeros(len(examples))
        paths = np.zeros_like(said[0].trajectory_increments)  # (B, P)
        for e, one in enumerate(said):
            paths += weights[:, e, None] * one.trajectory_increments
            unbounded += weights[:, e] * one.supercritical
        return complete_forecasts(
            examples,
            increment,
            self.intervals,
            self.relaxation,
            supercritical=unbounded >= 0.5,  # most of what it says rests on experts without a finite answer
            shares=self._shares(paths, examples),
            group=group,
        )

    @property
    def population_names(self) -> tuple[str, ...]:
        return () if self.teller is None else self.experts[self.teller].forecaster.population_names

    def populations(self, examples: Sequence[Example]) -> NDArray[np.int64] | None:
        if self.teller is None:
            return None
        return self.experts[self.teller].forecaster.populations(_parts(self.teller, examples))

    def votes(self, examples: Sequence[Example]) -> list[str] | None:
        if self.teller is None:
            return None
        return self.experts[self.teller].forecaster.votes(_parts(self.teller, examples))

    def in_stream(self, example: Example, votes: Mapping[str, float]) -> Example:
        inputs: dict[str, NDArray[Any]] = {}
        for number in sorted({int(key.partition(":")[0]) for key in example.inputs}):
            own = self.experts[number].forecaster.in_stream(_parts(number, [example])[0], votes).inputs
            inputs |= {f"{number}:{name}": array for name, array in own.items()}
        return replace(example, inputs=inputs)

    def fit(
        self,
        train: Sequence[Case],
        validation: Sequence[Case],
        *,
        seed: int = 0,
        epochs: int | None = None,
        progress: EpochProgress | None = None,
        checkpoint: Path | None = None,
        fitted: Mapping[str, Forecaster] | None = None,
    ) -> Self:
        """Fit the experts that are not stored, then the weights on ``validation``; without one they stay as they start.

        ``epochs``, ``progress`` and ``checkpoint`` (one file for each expert, named after it) reach the experts.
        ``fitted`` are forecasters by spec that were fitted on these cases with this seed: experts need not be again.
        Raises `DatasetError` without cases.
        """
        if not train and not validation:
            raise DatasetError("blend has no cases to fit to; give a larger file or an earlier --observe")
        for expert in self.experts:
            if fitted is not None and expert.spec in fitted:
                expert.forecaster = fitted[expert.spec]
            elif not expert.stored:
                own = checkpoint and checkpoint.with_name(f"{checkpoint.name}-{expert.forecaster.name}")
                split = Split(list(train), list(validation), [])
                fit_forecaster(
                    expert.forecaster, split, seed=seed, epochs=epochs, progress=progress, checkpoint=own or None
                )
        judged = Judged.of(self, validation or train)
        start = starting_shares(self.experts)
        if validation:
            cascades = [case.graph.id for case in validation]
            posts = len(set(cascades))
            self.prior = BlendPrior.fit(judged.errors, judged.age_seconds, posts=posts, start=start)
            growth = out_of_fold(judged.logs, judged.truth, judged.age_seconds, cascades, start=start)
        else:
            # Residuals of the fit itself flatter whoever fitted closest: they must not choose among experts.
            self.prior = BlendPrior.ignorant(len(self.experts), start=start)
            growth = self.prior.weights().growth(judged.logs, judged.age_seconds)
        self.weights = self.prior.weights()
        self.relaxation = Relaxation.fit(train or validation)
        self.intervals = ConformalIntervals.fit(
            np.exp2(growth) - 1.0,
            judged.truth,
            judged.age_seconds,
            judged.observed,
            group=judged.populations,
            level=self.level,
        )
        self.fitted = True
        return self

    def save(self, directory: Path) -> None:
        self._must_be_fitted()
        write_config(
            directory,
            {
                "forecaster": self.name,
                "version": self.version,
                "experts": save_experts(self.experts, directory),
                "prior": {
                    "count": self.prior.moments.count.tolist(),
                    "error": self.prior.moments.error.tolist(),
                    "square": self.prior.moments.square.tolist(),
                    "anchor": self.prior.anchor.tolist(),
                },
                "fit": self.weights.to_config(),
                "intervals": self.intervals.to_config(),
                "relaxation": self.relaxation.to_config(),
            },
        )

    @classmethod
    def load(cls, directory: Path) -> Self:
        config = read_config(directory, cls.name)
        try:
            intervals = ConformalIntervals.from_config(config["intervals"])
            blend = cls(load_experts(config["experts"], directory), level=intervals.level)
            blend.intervals = intervals
            blend.version = str(config["version"])
            blend.weights = BlendWeights.from_config(config["fit"])
            prior = {name: np.array(values, np.float64) for name, values in config["prior"].items()}
            anchor = prior.pop("anchor")
            BlendWeights.from_config({"weights": anchor, "bias": blend.weights.bias})
            blend.prior = BlendPrior(Moments(**prior), anchor)
            blend.relaxation = Relaxation.from_config(config["relaxation"])
            shapes = {anchor.shape, blend.weights.weights.shape, blend.prior.moments.error.shape}
            if len(shapes) > 1 or anchor.shape[1] != len(blend.experts):
                raise ValueError("weights and experts do not fit together")
        except (KeyError, TypeError, ValueError) as error:
            raise ModelStoreError(
                f"{directory / CONFIG_FILE}: damaged ({error!r}); train again or restore it"
            ) from error
        blend.fitted = True
        return blend

    def _must_be_fitted(self) -> None:
        if not self.fitted:
            raise ModelStoreError("blend has not been trained; run 'cascadecast train blend' first")

    def _ask(self, number: int, examples: Sequence[Example], rows: NDArray[np.int64]) -> Forecasts:
        """What an expert says of the examples at ``rows``; nothing of the others."""
        if not len(rows):
            return Forecasts.nothing(len(examples))
        own = _parts(number, [examples[row] for row in rows])
        return Forecasts.placed(self.experts[number].forecaster.forecast(own), rows, len(examples))

    def _shares(self, paths: Floats, examples: Sequence[Example]) -> Floats:
        """The paths (B, P) as shares of their ends; where no expert sees any growth, those of the relaxation."""
        age, horizon, _ = times_of(examples)
        total = paths[:, -1:]
        if not (total == 0.0).any():
            return paths / total
        rest = self.relaxation.share(trajectory_ages(age, horizon), age, horizon)
        return np.where(total > 0.0, paths / np.where(total > 0.0, total, 1.0), rest)


def _parts(number: int, examples: Sequence[Example]) -> list[Example]:
    """The examples as expert ``number`` prepared them."""
    own = f"{number}:"
    return [
        replace(
            example,
            inputs={key.removeprefix(own): array for key, array in example.inputs.items() if key.startswith(own)},
        )
        for example in examples
    ]
