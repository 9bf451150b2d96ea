"""CasFT as a forecaster: prepared examples in, forecasts with the distribution of their trends out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray

from forecasters.base import Case, Example, Forecaster, Forecasts
from forecasters.casft.batching import Prepared, batch_of
from forecasters.casft.config import CasFTConfig
from forecasters.casft.model import CasFTNet
from forecasters.casft.quantiles import ConformalQuantiles
from forecasters.casft.training import forecast_together, scale, train_networks
from forecasters.casft.trend import total_growth, trend_shares
from forecasters.concat.batching import lengths_of
from forecasters.concat.observation import sequence
from forecasters.concat.parting import parts_of_like_length
from forecasters.context.network import ContextNet
from forecasters.context.telling import ToldByContext
from forecasters.dataset import DatasetError, increments, sampled_cases
from forecasters.errors import ModelStoreError
from forecasters.intervals import DEFAULT_LEVEL, ConformalIntervals
from forecasters.members import fill_members, member_tensors
from forecasters.model_files import CONFIG_FILE, TENSORS_FILE, read_config, read_tensors, write_config, write_tensors
from forecasters.taught_summary import fitted_context
from forecasters.training_loop import Progress, chosen_device
from forecasters.trajectory import MAX_INCREMENT, Relaxation, complete_forecasts, times_of, trajectory_ages
from forecasters.user_embedding import UserEmbedding
from graph import Cascade

Floats = NDArray[np.float64]

INFERENCE_BATCH: Final = 256
"""Cascades solved at once: past it the sequential steps are bound by arithmetic, and more samples gain nothing."""


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What the network says of B examples: growth (B,) = log2(1 + increment); low and high (B,), the drawn interval in
    the same measure; trend (B, l), the mean of the drawn trends in log2(1 + count), or None."""

    growth: Floats
    low: Floats
    high: Floats
    trend: Floats | None


class CasFTForecaster(ToldByContext):
    """Future trends drawn by diffusion from dynamic cues (arXiv 2409.16619), by the paper's protocol or at any age.

    The paper's form reads the earliest 100 events and nothing else, and is made for one observation time and horizon.
    The rolling form also reads the context: counts, ages and the root, at any age.
    """

    name: ClassVar[str] = "casft"
    needs_training: ClassVar[bool] = True

    def __init__(self, config: CasFTConfig | None = None, *, level: float = DEFAULT_LEVEL) -> None:
        self.config = config or CasFTConfig.full()
        self.level = level
        self.nets: tuple[CasFTNet, ...] = ()
        self.embedding: UserEmbedding | None = None
        self.intervals = ConformalQuantiles.uncalibrated(level)
        self.relaxation = Relaxation()
        self.trend_learned = False
        """Whether there were true trends to learn from: else the trends drawn mean nothing."""
        self.best_epoch = 0

    @classmethod
    def variants(cls) -> Mapping[str, Callable[[], Forecaster]]:
        """The paper's form, and its ablations (section 5 of the paper; what each leaves out is in docs/casft.md)."""
        return {
            "paper": lambda: cls(CasFTConfig.paper()),
            "paper-summary": lambda: cls(CasFTConfig.paper_summary()),
            "paper-taught": lambda: cls(CasFTConfig.paper_taught()),
            "paper-no-trend": lambda: cls(CasFTConfig.paper(trend="none")),
            "paper-no-cues": lambda: cls(CasFTConfig.paper(ode_cues=False)),
            "paper-no-diffusion": lambda: cls(CasFTConfig.paper(trend="regression")),
            "paper-mlp": lambda: cls(CasFTConfig.paper(trend="latent")),
        }

    def prepare(self, graph: Cascade, as_of: float, horizon_seconds: float) -> Example:
        view = graph.view(as_of)
        inputs: dict[str, NDArray[Any]] = dict(sequence(view, self.config.event_cap, self.config.recent_events))
        if self.config.context is not None:
            inputs["context"] = self.config.context.features(view, horizon_seconds)
        return Example.of(view, horizon_seconds, inputs)

    def forecast(self, examples: Sequence[Example]) -> Forecasts:
        drawn = self._draw(examples)
        age, horizon, observed = times_of(examples)
        shares = None
        if drawn.trend is not None and len(examples):
            shares = trend_shares(drawn.trend, trajectory_ages(age, horizon), age, horizon, self.relaxation)
        increment = np.exp2(np.clip(drawn.growth, 0.0, np.log2(1.0 + MAX_INCREMENT))) - 1.0
        found = complete_forecasts(
            examples, increment, ConformalIntervals.uncalibrated(self.level), self.relaxation, shares=shares
        )
        group = self.populations(examples)
        low, high = self.intervals.bounds(drawn.low, drawn.high, found.increment, age, observed, group)
        ahead = age < horizon
        return replace(found, low=np.where(ahead, low, 0.0), high=np.where(ahead, high, 0.0))

    @property
    def told_by(self) -> ContextNet | None:
        return self.nets[0].context if self.nets else None

    def _draw(self, examples: Sequence[Example]) -> _Drawn:
        """Raises `ModelStoreError` if untrained."""
        if not self.nets:
            raise ModelStoreError("casft has not been trained; run 'cascadecast train casft' first")
        B, l = len(examples), self.config.intervals  # noqa: E741
        growth, low, high, trend = np.zeros(B), np.zeros(B), np.zeros(B), np.zeros((B, l))
        tails = (0.5 - self.level / 2.0, 0.5, 0.5 + self.level / 2.0)
        with torch.inference_mode():
            for rows in parts_of_like_length(lengths_of(examples), INFERENCE_BATCH):
                batch = batch_of([examples[i] for i in rows], self.config, self.embedding)
                output = forecast_together(self.nets, batch)
                growth[rows] = low[rows] = high[rows] = output.growth.numpy()
                if self.trend_learned:
                    trends = output.trends.numpy().astype(np.float64)  # (b, S, l)
                    trend[rows] = np.maximum(trends, 0.0).mean(axis=1)  # a median of few reshares would be none
                    # the drawn totals tell how far the increment may lie from the forecast, which they are centred on
                    below, middle, above = np.quantile(total_growth(trends), tails, axis=1)
                    low[rows] += below - middle
                    high[rows] += above - middle
        return _Drawn(growth, low, high, trend if self.trend_learned else None)

    def fit(
        self,
        train: Sequence[Case],
        validation: Sequence[Case],
        *,
        seed: int = 0,
        epochs: int | None = None,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> Self:
        """Train on ``train``, stop early by and calibrate on ``validation``.

        ``epochs`` overrides the configured length; ``progress`` is called after every epoch; ``checkpoint``
        names a file that is written after every epoch and, where it exists, resumed. Raises `DatasetError` without
        cases.
        """
        if not train:
            raise DatasetError("casft has no cases to train on; give a larger file or an earlier --observe")
        if epochs is not None:
            self.config = replace(self.config, epochs=epochs)
        device = chosen_device()
        if self.config.global_features:
            self.embedding = UserEmbedding.fit(train, self.config.global_features, seed=seed)
        context = fitted_context(train, self.config.context, taught=self.config.taught, seed=seed)
        train = sampled_cases(train, self.config.training_cases, seed)
        fitting, choosing = self._examples(train), self._examples(validation)
        training = Prepared.of(fitting, train, self.config, self.embedding).to(device)
        judged = Prepared.of(choosing, validation, self.config, self.embedding).to(device) if choosing else None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            populations = ("",) if context is None else context.populations
            nets = tuple(CasFTNet(self.config, populations) for _ in range(self.config.members))
        for net in nets:
            net.context = context
            net.to(device)
            scale(net, training)
        self.best_epoch, _ = train_networks(
            nets, self.config, training, judged, seed=seed, progress=progress, checkpoint=checkpoint
        )
        self.nets = tuple(net.cpu() for net in nets)
        self.trend_learned = bool(training.truth.known.any()) and self.config.trend in ("diffusion", "regression")
        self.relaxation = Relaxation.fit(train)
        # without a validation part the residuals of the fit itself are the best there is, though narrow
        held, truth = (choosing, validation) if choosing else (fitting, train)
        return self.calibrate(held, increments(truth))

    def calibrate(self, examples: Sequence[Example], actual: Floats) -> Self:
        drawn = self._draw(examples)
        age, _, observed = times_of(examples)
        self.intervals = ConformalQuantiles.fit(
            drawn.low,
            drawn.high,
            actual,
            age,
            observed,
            group=self.populations(examples),
            level=self.level,
        )
        return self

    def save(self, directory: Path) -> None:
        if not self.nets:
            raise ModelStoreError("casft has not been trained, so there is nothing to save")
        tensors = member_tensors(self.nets)
        if self.embedding is not None:
            tensors |= self.embedding.tensors()
        write_tensors(directory, tensors)
        context = self.nets[0].context
        fit = {
            "model": self.config.to_json(),
            "populations": [] if context is None else list(context.populations),
            "trend_learned": self.trend_learned,
            "best_epoch": self.best_epoch,
        }
        write_config(
            directory,
            {
                "forecaster": self.name,
                "version": self.version,
                "fit": fit,
                "intervals": self.intervals.to_config(),
                "relaxation": self.relaxation.to_config(),
            },
        )

    @classmethod
    def load(cls, directory: Path) -> Self:
        config = read_config(directory, cls.name)
        tensors = read_tensors(directory)
        try:
            fit = config["fit"]
            intervals = ConformalQuantiles.from_config(config["intervals"])
            forecaster = cls(CasFTConfig.from_json(fit["model"]), level=intervals.level)
            forecaster.intervals = intervals
            forecaster.version = str(config["version"])
            forecaster.relaxation = Relaxation.from_config(config["relaxation"])
            forecaster.trend_learned = bool(fit["trend_learned"])
            forecaster.best_epoch = int(fit["best_epoch"])
            populations = tuple(str(name) for name in fit["populations"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelStoreError(
                f"{directory / CONFIG_FILE}: damaged ({error!r}); train again or restore it"
            ) from error
        try:
            nets = tuple(CasFTNet(forecaster.config, populations) for _ in range(forecaster.config.members))
            fill_members(nets, tensors)
            if forecaster.config.global_features:
                forecaster.embedding = UserEmbedding.from_tensors(tensors)
        except (KeyError, RuntimeError) as error:
            raise ModelStoreError(
                f"{directory / TENSORS_FILE}: does not fit its config.json ({error}); train again or restore it"
            ) from error
        forecaster.nets = nets
        return forecaster

    def _examples(self, cases: Sequence[Case]) -> list[Example]:
        return [self.prepare(case.graph, case.as_of, case.horizon_seconds) for case in cases]
