"""ConCat as a forecaster: prepared examples in, calibrated forecasts out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray

from forecasters.base import Case, Example, Forecaster, Forecasts
from forecasters.concat.batching import Prepared, collate, lengths_of
from forecasters.concat.config import ConCatConfig
from forecasters.concat.model import ConCatNet
from forecasters.concat.observation import sequence
from forecasters.concat.parting import parts_of_like_length
from forecasters.concat.training import mean_growth, train_networks
from forecasters.context.network import ContextNet
from forecasters.context.telling import ToldByContext
from forecasters.dataset import DatasetError, increments, sampled_cases
from forecasters.errors import ModelStoreError
from forecasters.intervals import DEFAULT_LEVEL, ConformalIntervals
from forecasters.members import fill_members, member_tensors
from forecasters.model_files import CONFIG_FILE, TENSORS_FILE, read_config, read_tensors, write_config, write_tensors
from forecasters.taught_summary import fitted_context
from forecasters.training_loop import Progress, chosen_device
from forecasters.trajectory import MAX_INCREMENT, Relaxation, complete_forecasts, times_of
from forecasters.user_embedding import UserEmbedding
from graph import Cascade

Floats = NDArray[np.float64]

INFERENCE_BATCH: Final = 256
"""Cascades solved at once: past it the sequential steps are bound by arithmetic, and more samples gain nothing."""


class ConCatForecaster(ToldByContext):
    """Continuous-time dynamics of cascades (arXiv 2409.16623): a jump ODE over the events, aligned at the observation.

    The full form also reads the context (counts, ages, audience, clock) and answers at any age and horizon. The paper's
    form reads the earliest 100 events and their users and nothing else, and is made for one observation age and
    horizon.
    """

    name: ClassVar[str] = "concat"
    needs_training: ClassVar[bool] = True

    def __init__(self, config: ConCatConfig | None = None, *, level: float = DEFAULT_LEVEL) -> None:
        self.config = config or ConCatConfig.full()
        self.level = level
        self.nets: tuple[ConCatNet, ...] = ()
        self.embedding: UserEmbedding | None = None
        self.intervals = ConformalIntervals.uncalibrated(level)
        self.relaxation = Relaxation()
        self.best_epoch = 0

    @classmethod
    def variants(cls) -> Mapping[str, Callable[[], Forecaster]]:
        return {
            "paper": lambda: cls(ConCatConfig.paper()),
            "paper-summary": lambda: cls(ConCatConfig.paper_summary()),
            "paper-taught": lambda: cls(ConCatConfig.paper_taught()),
            "paper-no-ode": lambda: cls(ConCatConfig.paper(ode=False)),
            "paper-no-tpp": lambda: cls(ConCatConfig.paper(point_process=False)),
            "paper-no-alignment": lambda: cls(ConCatConfig.paper(alignment=False)),
            "paper-no-users": lambda: cls(ConCatConfig.paper(global_features=0)),
        }

    def prepare(self, graph: Cascade, as_of: float, horizon_seconds: float) -> Example:
        view = graph.view(as_of)
        inputs: dict[str, NDArray[Any]] = dict(sequence(view, self.config.event_cap, self.config.recent_events))
        if self.config.context is not None:
            inputs["context"] = self.config.context.features(view, horizon_seconds)
        return Example.of(view, horizon_seconds, inputs)

    def point(self, examples: Sequence[Example]) -> Floats:
        """The increments (B,) before clipping to the horizon; raises `ModelStoreError` if untrained."""
        if not self.nets:
            raise ModelStoreError("concat has not been trained; run 'cascadecast train concat' first")
        growth = np.zeros(len(examples))
        with torch.inference_mode():
            for rows in parts_of_like_length(lengths_of(examples), INFERENCE_BATCH):
                batch = collate([examples[i] for i in rows], self.embedding)
                growth[rows] = mean_growth(self.nets, batch).numpy()
        return np.exp2(np.clip(growth, 0.0, np.log2(1.0 + MAX_INCREMENT))) - 1.0

    def forecast(self, examples: Sequence[Example]) -> Forecasts:
        group = self.populations(examples)
        return complete_forecasts(examples, self.point(examples), self.intervals, self.relaxation, group=group)

    @property
    def told_by(self) -> ContextNet | None:
        return self.nets[0].context if self.nets else None

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
            raise DatasetError("concat has no cases to train on; give a larger file or an earlier --observe")
        if epochs is not None:
            self.config = replace(self.config, epochs=epochs)
        if self.config.global_features:
            self.embedding = UserEmbedding.fit(train, self.config.global_features, seed=seed)
        context = fitted_context(train, self.config.context, taught=self.config.taught, seed=seed)
        train = sampled_cases(train, self.config.training_cases, seed)
        fitting, choosing = self._examples(train), self._examples(validation)
        growth = np.log2(1.0 + increments(train))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            populations = ("",) if context is None else context.populations
            nets = tuple(ConCatNet(self.config, populations) for _ in range(self.config.members))
        for net in nets:
            net.start_at(float(growth.mean()))
            net.context = context
        device = chosen_device()
        prepared = Prepared.of(fitting, train, self.embedding)
        judged = Prepared.of(choosing, validation, self.embedding) if choosing else prepared.none()
        self.best_epoch, _ = train_networks(
            [net.to(device) for net in nets],
            self.config,
            prepared.to(device),
            judged.to(device),
            seed=seed,
            progress=progress,
            checkpoint=checkpoint,
        )
        self.nets = tuple(net.cpu() for net in nets)
        self.relaxation = Relaxation.fit(train)
        # without a validation part the residuals of the fit itself are the best there is, though narrow
        held, truth = (choosing, validation) if choosing else (fitting, train)
        age, _, observed = times_of(held)
        self.intervals = ConformalIntervals.fit(
            self.point(held), increments(truth), age, observed, group=self.populations(held), level=self.level
        )
        return self

    def save(self, directory: Path) -> None:
        if not self.nets:
            raise ModelStoreError("concat has not been trained, so there is nothing to save")
        tensors = member_tensors(self.nets)
        if self.embedding is not None:
            tensors |= self.embedding.tensors()
        context = self.nets[0].context
        populations = [] if context is None else list(context.populations)
        write_tensors(directory, tensors)
        write_config(
            directory,
            {
                "forecaster": self.name,
                "version": self.version,
                "fit": {
                    "model": self.config.to_json(),
                    "populations": populations,
                    "best_epoch": self.best_epoch,
                },
                "intervals": self.intervals.to_config(),
                "relaxation": self.relaxation.to_config(),
            },
        )

    @classmethod
    def load(cls, directory: Path) -> Self:
        config = read_config(directory, cls.name)
        tensors = read_tensors(directory)
        try:
            intervals = ConformalIntervals.from_config(config["intervals"])
            forecaster = cls(ConCatConfig.from_json(config["fit"]["model"]), level=intervals.level)
            forecaster.intervals = intervals
            forecaster.version = str(config["version"])
            forecaster.relaxation = Relaxation.from_config(config["relaxation"])
            forecaster.best_epoch = int(config["fit"]["best_epoch"])
            populations = tuple(str(name) for name in config["fit"]["populations"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelStoreError(
                f"{directory / CONFIG_FILE}: damaged ({error!r}); train again or restore it"
            ) from error
        try:
            nets = tuple(ConCatNet(forecaster.config, populations) for _ in range(forecaster.config.members))
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
