"""A summary's network that learns from better labels: half the truth, half what the whole observation foretells.

How far a cascade grows is mostly chance, and a thousand labels carry a thousand chances. What a network foretells from
everything observed has the same mean, given the first events, as the truth, and far less of the chance: a student who
sees less learns more from both than from the truth alone (generalised distillation, Lopez-Paz et al. 2016,
arXiv 1511.03643). The teachers see training cascades only, none of them one that it was fitted to, and are thrown away:
a forecast reads the first events and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from forecasters.base import Case
from forecasters.context.config import ContextConfig
from forecasters.context.fitting import fit_context
from forecasters.context.later_ages import TEACHERS
from forecasters.context.network import ContextNet, context_batch, floored
from forecasters.dataset import DatasetError, cross_fitting_parts, increments
from forecasters.last_cases import OfLastCases
from forecasters.nearby_ages import with_nearby_ages

Floats = NDArray[np.float64]

TEACHERS_SHARE: Final = 0.5
"""Of a label, in log2. The truth alone is noisy, the teachers alone err where they all do."""


def fitted_context(
    train: Sequence[Case], config: ContextConfig | None, *, taught: bool, seed: int
) -> ContextNet | None:
    """The context network that a model asks for: that of a taught summary, that of `fit_context`, or none."""
    if config is None:
        return None
    return fit_taught_summary(train, config, seed=seed) if taught else fit_context(train, config, seed=seed)


def fit_taught_summary(train: Sequence[Case], config: ContextConfig, *, seed: int = 0) -> ContextNet:
    """Fit the summary's network to the cases of ``train`` and to their cascades at ages near, under taught labels.

    ``config`` has an ``age_span``. The same seed gives the same weights to the bit; asked again for the last ones it
    answers at once. Raises `DatasetError` for fewer cascades than there are teachers.
    """
    taught = _TAUGHT.of(train, (config, seed), lambda: _taught_cases(train, config, seed))
    return fit_context(taught, replace(config, cuts=0), seed=seed)


_TAUGHT: Final[OfLastCases[list[Case]]] = OfLastCases()


def _taught_cases(train: Sequence[Case], config: ContextConfig, seed: int) -> list[Case]:
    """The cases and their cascades at ages near, labelled by truth and teachers together."""
    assert config.age_span is not None
    cuts = with_nearby_ages(train, config.cuts, config.age_span, most=config.most_cuts, seed=seed)
    cascades = len({case.graph.id for case in cuts})
    if cascades < TEACHERS:
        raise DatasetError(f"{cascades} cascades are too few to learn from teachers; give {TEACHERS} or more")
    part = cross_fitting_parts(cuts, TEACHERS, (seed, 2))
    label = np.log2(1.0 + increments(cuts))
    for number in range(TEACHERS):
        own = np.flatnonzero(part == number)
        foretold = _foretold([cuts[i] for i in np.flatnonzero(part != number)], [cuts[i] for i in own], config, seed)
        label[own] += TEACHERS_SHARE * (foretold - label[own])
    return [
        replace(case, increment=round(growth))
        for case, growth in zip(cuts, (np.exp2(label) - 1.0).tolist(), strict=True)
    ]


def _foretold(known: Sequence[Case], asked: Sequence[Case], config: ContextConfig, seed: int) -> Floats:
    """log2(1 + increment) of the cases ``asked`` by a network that saw everything observed of the ``known`` ones."""
    everything = replace(config, reads="everything", cuts=0)
    teacher = fit_context(known, everything, seed=seed)
    read = [everything.features(case.graph.view(case.as_of), case.horizon_seconds) for case in asked]
    with torch.inference_mode():
        growth, _ = teacher(context_batch(read))
    return floored(growth).numpy().astype(np.float64)
