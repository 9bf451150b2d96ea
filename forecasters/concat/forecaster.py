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
from forecasters.concat.observation import SIDE_SIZE, sequence, side_features
from forecasters.concat.side import SideScale
from forecasters.concat.training import train_network
from forecasters.dataset import DatasetError, increments, rolling_cases
from forecasters.errors import ModelStoreError
from forecasters.intervals import DEFAULT_LEVEL, ConformalIntervals
from forecasters.model_store import (
    CONFIG_FILE,
    TENSORS_FILE,
    read_config,
    read_tensors,
    write_config,
    write_tensors,
)
from forecasters.training_loop import Progress
from forecasters.trajectory import MAX_INCREMENT, Relaxation, complete_forecasts, times_of
from graph import Cascade

Floats = NDArray[np.float64]

INFERENCE_BATCH: Final = 256
"""Cascades solved at once: past it the sequential steps are bound by arithmetic, and more samples gain nothing."""


class ConCatForecaster(Forecaster):
    """Continuous-time dynamics of cascades (arXiv 2409.16623), by the paper's protocol or rolling at any age.

    The paper's form reads the earliest 100 events and nothing else, and is made for one observation time and horizon.
    The rolling form (``ConCatConfig(side_features=True)``) also reads counts, ages and the root, at any age.
    """

    name: ClassVar[str] = "concat"
    needs_training: ClassVar[bool] = True

    def __init__(self, config: ConCatConfig | None = None, *, level: float = DEFAULT_LEVEL) -> None:
        self.config = config or ConCatConfig.rolling()
        self.level = level
        self.net: ConCatNet | None = None
        self.side: SideScale | None = None
        self.intervals = ConformalIntervals.uncalibrated(level)
        self.relaxation = Relaxation()
        self.best_epoch = 0

    @classmethod
    def variants(cls) -> Mapping[str, Callable[[], Forecaster]]:
        return {"paper": lambda: cls(ConCatConfig())}

    def prepare(self, graph: Cascade, as_of: float, horizon_seconds: float) -> Example:
        view = graph.view(as_of)
        inputs: dict[str, NDArray[Any]] = dict(sequence(view, self.config.event_cap, self.config.recent_events))
        if self.config.side_features:
            inputs["side"] = side_features(view, horizon_seconds)
        return Example.of(view, horizon_seconds, inputs)

    def point(self, examples: Sequence[Example]) -> Floats:
        """The increments (B,) before clipping to the horizon; raises `ModelStoreError` if untrained."""
        if self.net is None:
            raise ModelStoreError("concat has not been trained; run 'cascadecast train concat' first")
        growth = np.zeros(len(examples))
        # like lengths together: padding costs a sequential step for the whole batch
        order = np.argsort(lengths_of(examples), kind="stable")
        with torch.inference_mode():
            for first in range(0, len(examples), INFERENCE_BATCH):
                rows = order[first : first + INFERENCE_BATCH]
                batch = collate([examples[i] for i in rows], self.side)
                growth[rows] = self.net(batch, likelihood=False).growth.numpy()
        return np.exp2(np.clip(growth, 0.0, np.log2(1.0 + MAX_INCREMENT))) - 1.0

    def forecast(self, examples: Sequence[Example]) -> Forecasts:
        return complete_forecasts(examples, self.point(examples), self.intervals, self.relaxation)

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
        fitting, choosing = self._examples(train), self._examples(validation)
        growth = np.log2(1.0 + increments(train))
        warm_up = None
        if self.config.side_features:
            features, truths = self._warm_up_cases(train, seed)
            features = np.concatenate([np.array([e.inputs["side"] for e in fitting]), features])
            self.side = SideScale.fit(features)
            warm_up = (_single(self.side.standardised(features)), _single(np.concatenate([growth, truths])))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = ConCatNet(self.config, SIDE_SIZE if self.config.side_features else 0)
        net.start_at(float(growth.mean()))
        prepared = Prepared.of(fitting, train, self.side)
        judged = Prepared.of(choosing, validation, self.side) if choosing else prepared.none()
        self.best_epoch, _ = train_network(
            net, self.config, prepared, judged, seed=seed, warm_up=warm_up, progress=progress, checkpoint=checkpoint
        )
        self.net = net
        self.relaxation = Relaxation.fit(train)
        # without a validation part the residuals of the fit itself are the best there is, though narrow
        held, truth = (choosing, validation) if choosing else (fitting, train)
        age, _, observed = times_of(held)
        self.intervals = ConformalIntervals.fit(self.point(held), increments(truth), age, observed, level=self.level)
        return self

    def save(self, directory: Path) -> None:
        if self.net is None:
            raise ModelStoreError("concat has not been trained, so there is nothing to save")
        tensors = {f"net.{name}": tensor.numpy() for name, tensor in self.net.state_dict().items()}
        if self.side is not None:
            tensors |= self.side.tensors()
        write_tensors(directory, tensors)
        write_config(
            directory,
            {
                "forecaster": self.name,
                "version": self.version,
                "fit": {"model": self.config.to_json(), "best_epoch": self.best_epoch},
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
        except (KeyError, TypeError, ValueError) as error:
            raise ModelStoreError(
                f"{directory / CONFIG_FILE}: damaged ({error!r}); train again or restore it"
            ) from error
        rolling = forecaster.config.side_features
        try:
            net = ConCatNet(forecaster.config, SIDE_SIZE if rolling else 0)
            weights = {k.removeprefix("net."): torch.from_numpy(v) for k, v in tensors.items() if k.startswith("net.")}
            net.load_state_dict(weights)
            forecaster.side = SideScale.from_tensors(tensors) if rolling else None
        except (KeyError, RuntimeError) as error:
            raise ModelStoreError(
                f"{directory / TENSORS_FILE}: does not fit its config.json ({error}); train again or restore it"
            ) from error
        forecaster.net = net.eval()
        return forecaster

    def _warm_up_cases(self, train: Sequence[Case], seed: int) -> tuple[Floats, Floats]:
        """Side features (M, F) and log2(1 + increment) (M,) of further ages of the training cascades."""
        found: list[Case] = []
        for horizon in sorted({case.horizon_seconds for case in train}):
            graphs = {id(case.graph): case.graph for case in train if case.horizon_seconds == horizon}
            cuts = self.config.warm_up_cuts
            # the seed differs from that of the cases themselves, else their ages would be drawn again
            found += rolling_cases(graphs.values(), horizon, per_cascade=cuts, seed=seed + 1_000_003)
        features = [side_features(case.graph.view(case.as_of), case.horizon_seconds) for case in found]
        return np.array(features).reshape(-1, SIDE_SIZE), np.log2(1.0 + increments(found))

    def _examples(self, cases: Sequence[Case]) -> list[Example]:
        return [self.prepare(case.graph, case.as_of, case.horizon_seconds) for case in cases]


def _single(values: Floats) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.float32))
