"""AutoCas as a forecaster: prepared examples in, calibrated forecasts with rolled-out trajectories out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray

from forecasters.autocas.batching import Prepared, collate
from forecasters.autocas.config import AutoCasConfig
from forecasters.autocas.model import AutoCasNet
from forecasters.autocas.rollout import mean_roll_out
from forecasters.autocas.steps import Steps
from forecasters.autocas.storing import (
    backbone_record,
    context_record,
    language_model_of,
    recorded_context,
    recorded_language_model,
    restore,
    tensors_of,
)
from forecasters.autocas.tokens import force, next_counts, tokens_of
from forecasters.autocas.totals import rolled_shares, rolled_total
from forecasters.autocas.training import future_steps, start, train_networks
from forecasters.autocas.variants import Variants
from forecasters.base import Case, Example, Forecaster, Forecasts
from forecasters.context import ContextConfig
from forecasters.context.network import ContextNet
from forecasters.context.telling import ToldByContext
from forecasters.dataset import DatasetError, increments, sampled_cases
from forecasters.errors import ModelStoreError
from forecasters.intervals import DEFAULT_LEVEL, ConformalIntervals
from forecasters.labels import observed_until
from forecasters.model_files import CONFIG_FILE, TENSORS_FILE, read_config, read_tensors, write_config, write_tensors
from forecasters.nearby_ages import with_nearby_ages
from forecasters.taught_summary import fitted_context
from forecasters.training_loop import Progress, chosen_device
from forecasters.trajectory import MAX_INCREMENT, Relaxation, complete_forecasts, times_of, trajectory_ages
from graph import Cascade, CascadeView

Floats = NDArray[np.float64]

INFERENCE_BATCH: Final = 256


class AutoCasForecaster(ToldByContext):
    """A cascade as a sequence of steps that a causal language model continues (arXiv 2502.18040).

    The rolling form reads everything observed, at any age; the papers' form reads the earliest 100 events and nothing
    else, and is made for one observation time and horizon. The model is a small one of this package or any frozen one.
    """

    name: ClassVar[str] = "autocas"
    needs_training: ClassVar[bool] = True

    def __init__(self, config: AutoCasConfig | None = None, *, level: float = DEFAULT_LEVEL) -> None:
        self.config = config or AutoCasConfig.rolling()
        self.context_config = ContextConfig.summary() if self.config.summary else ContextConfig()
        self.level = level
        self.nets: tuple[AutoCasNet, ...] = ()
        self.context: ContextNet | None = None
        self.intervals = ConformalIntervals.uncalibrated(level)
        self.relaxation = Relaxation()
        self.best_epoch = 0

    @classmethod
    def variants(cls) -> Mapping[str, Callable[[], Forecaster]]:
        """The papers' form, its ablations and controls; and any language model, see `forecasters.autocas.variants`."""
        return Variants(cls)

    def prepare(self, graph: Cascade, as_of: float, horizon_seconds: float) -> Example:
        return self._prepared(graph.view(as_of), horizon_seconds)[0]

    def forecast(self, examples: Sequence[Example]) -> Forecasts:
        increment, shares = self._rolled(examples)
        group = self.populations(examples)
        return complete_forecasts(examples, increment, self.intervals, self.relaxation, shares=shares, group=group)

    @property
    def told_by(self) -> ContextNet | None:
        return self.context

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
        cases and `ModelStoreError` without the language model.
        """
        if not train:
            raise DatasetError("autocas has no cases to train on; give a larger file or an earlier --observe")
        if epochs is not None:
            self.config = replace(self.config, epochs=epochs)
        language_model = language_model_of(self.config)
        asked = self.context_config if self.config.context else None
        self.context = fitted_context(train, asked, taught=self.config.taught, seed=seed)
        train = sampled_cases(train, self.config.training_cases, seed)
        validation = sampled_cases(validation, self.config.validation_cases, seed)
        count, span, most = self.config.nearby_ages, self.config.age_span, self.config.most_cuts
        cuts = with_nearby_ages(train, count, span, most=most, seed=seed) if count else train
        training, judged = self._teaching(cuts), self._teaching(validation) if validation else None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            hidden = self._context_hidden()
            nets = tuple(AutoCasNet(self.config, language_model, hidden) for _ in range(self.config.members))
        start(nets, training)
        device = chosen_device()
        for net in nets:
            net.on(device)
        self.best_epoch, _ = train_networks(
            nets,
            training.to(device),
            None if judged is None else judged.to(device),
            seed=seed,
            progress=progress,
            checkpoint=checkpoint,
        )
        self.nets = tuple(net.requires_grad_(False) for net in nets)
        self.relaxation = Relaxation.fit(train)
        # without a validation part the residuals of the fit itself are the best there is, though narrow
        held = validation or train
        examples = [self.prepare(case.graph, case.as_of, case.horizon_seconds) for case in held]
        age, _, observed = times_of(examples)
        increment, _ = self._rolled(examples)
        group = self.populations(examples)
        self.intervals = ConformalIntervals.fit(
            increment, increments(held), age, observed, group=group, level=self.level
        )
        return self

    def save(self, directory: Path) -> None:
        if not self.nets:
            raise ModelStoreError("autocas has not been trained, so there is nothing to save")
        write_tensors(directory, tensors_of(self.nets, self.context))
        write_config(
            directory,
            {
                "forecaster": self.name,
                "version": self.version,
                "fit": {"model": self.config.to_json(), "best_epoch": self.best_epoch},
                "backbone": backbone_record(self.nets),
                "context": context_record(self.context, self.context_config),
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
            forecaster = cls(AutoCasConfig.from_json(config["fit"]["model"]), level=intervals.level)
            forecaster.intervals = intervals
            forecaster.version = str(config["version"])
            forecaster.relaxation = Relaxation.from_config(config["relaxation"])
            forecaster.best_epoch = int(config["fit"]["best_epoch"])
            forecaster.context, forecaster.context_config = recorded_context(config["context"])
            language_model = recorded_language_model(forecaster.config, config["backbone"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelStoreError(
                f"{directory / CONFIG_FILE}: damaged ({error!r}); train again or restore it"
            ) from error
        try:
            hidden, members = forecaster._context_hidden(), forecaster.config.members
            nets = tuple(AutoCasNet(forecaster.config, language_model, hidden) for _ in range(members))
            restore(nets, forecaster.context, tensors)
        except (KeyError, RuntimeError) as error:
            raise ModelStoreError(
                f"{directory / TENSORS_FILE}: does not fit its config.json ({error}); train again or restore it"
            ) from error
        # a small model answers faster where it needs not travel
        for net in nets:
            net.on(torch.device("cpu") if language_model is None else chosen_device())
        forecaster.nets = nets
        return forecaster

    def _context_hidden(self) -> int:
        return 0 if self.context is None else self.context.hidden_size

    def _prepared(self, view: CascadeView, horizon_seconds: float) -> tuple[Example, Steps]:
        tokens, steps = tokens_of(view, horizon_seconds, self.config)
        inputs: dict[str, NDArray[Any]] = {
            "tokens": tokens,
            "observed_steps": np.array(steps.observed),
            "ends": steps.ends,
        }
        if self.config.context:
            inputs["context"] = self.context_config.features(view, horizon_seconds)
        return Example.of(view, horizon_seconds, inputs), steps

    def _teaching(self, cases: Sequence[Case]) -> Prepared:
        """Cases with the true counts of their future steps, where these are known."""
        examples, following = [], []
        for case in cases:
            view = case.graph.view(case.as_of)
            example, steps = self._prepared(view, case.horizon_seconds)
            counts = next_counts(case.graph, view, steps, self.config, until_seconds=observed_until(case.graph))
            force(example.inputs["tokens"], counts, steps.observed)
            examples.append(example)
            following.append(counts)
        return Prepared.of(examples, following, increments(cases), self.context)

    def _rolled(self, examples: Sequence[Example]) -> tuple[Floats, Floats]:
        """Increments (B,) before clipping to the horizon, and the shares of the trajectory (B, TRAJECTORY_POINTS)."""
        if not self.nets:
            raise ModelStoreError("autocas has not been trained; run 'cascadecast train autocas' first")
        age, horizon, _ = times_of(examples)
        ages = trajectory_ages(age, horizon)
        shares = self.relaxation.share(ages, age, horizon)
        growth = np.zeros(len(examples))
        # like lengths together: padding costs a sequential step for the whole batch
        order = np.argsort([len(e.inputs["ends"]) for e in examples], kind="stable")
        with torch.inference_mode():
            for first in range(0, len(examples), INFERENCE_BATCH):
                rows = order[first : first + INFERENCE_BATCH]
                batch = collate([examples[i] for i in rows], self.context).to(self.nets[0].prompts.device)
                total, steps = mean_roll_out(self.nets, batch)
                if self.config.total == "roll-out":
                    total = rolled_total(steps, future_steps(batch.present, batch.edge))
                growth[rows] = total.cpu().numpy()
                for row, curve in zip(rows, steps.double().cpu().numpy(), strict=True):
                    ends = examples[row].inputs["ends"][int(examples[row].inputs["observed_steps"]) :]
                    rolled = rolled_shares(ages[row], age[row], ends, curve[: len(ends)])
                    shares[row] = shares[row] if rolled is None else rolled
        return np.exp2(np.clip(growth, 0.0, np.log2(1.0 + MAX_INCREMENT))) - 1.0, shares
