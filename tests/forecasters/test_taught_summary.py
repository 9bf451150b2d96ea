"""The taught summary: what its labels are made of, and that no teacher tells of a cascade it was fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from forecasters.base import Case
from forecasters.context import ContextConfig, fitting
from forecasters.context.network import ContextNet, context_batch
from forecasters.dataset import DatasetError, cases
from forecasters.taught_summary import TEACHERS, TEACHERS_SHARE, fit_taught_summary
from tests.forecasters.cascades import random_cascades

DAY = 86_400.0
HOUR = 3600.0
SMALL = replace(ContextConfig.summary(), members=2, width=16, epochs=2, cuts=3)


@pytest.fixture(scope="module")
def train() -> list[Case]:
    return cases(random_cascades(60), HOUR, DAY)


def labels_learned(train: Sequence[Case], monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    """The cases that the summary's network is fitted to in the end."""
    seen: list[list[Case]] = []

    def watched(known: Sequence[Case], config: ContextConfig, *, seed: int = 0) -> ContextNet:
        seen.append(list(known))
        return fitting.fit_context(known, config, seed=seed)

    monkeypatch.setattr("forecasters.taught_summary.fit_context", watched)
    fit_taught_summary(train, SMALL, seed=0)
    return seen[-1]


def test_no_teacher_tells_of_a_cascade_it_was_fitted_to(train: list[Case], monkeypatch: pytest.MonkeyPatch) -> None:
    far = 1_000_000  # growth so large that rounding to whole reshares cannot be seen in a logarithm
    first = [replace(train[0], increment=far), *train[1:]]
    second = [replace(train[0], increment=16 * far), *train[1:]]
    one, other = (labels_learned(known, monkeypatch)[0].increment for known in (first, second))
    assert np.log2(other / one) == pytest.approx(4.0 * (1.0 - TEACHERS_SHARE), abs=1e-2)


def test_every_cascade_is_learned_at_its_own_age_and_at_ages_near(
    train: list[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = labels_learned(train, monkeypatch)
    assert [(case.graph.id, case.as_of) for case in learned[: len(train)]] == [(c.graph.id, c.as_of) for c in train]
    assert len(train) < len(learned) <= (1 + SMALL.cuts) * len(train)
    assert {case.horizon_seconds for case in learned} == {DAY}


def test_taught_labels_vary_less_than_the_truth(train: list[Case], monkeypatch: pytest.MonkeyPatch) -> None:
    learned = labels_learned(train, monkeypatch)[: len(train)]
    truth, taught = (np.log2([1.0 + case.increment for case in some]) for some in (train, learned))
    assert taught.std() < truth.std()
    assert taught.mean() == pytest.approx(truth.mean(), abs=truth.std())


def test_the_same_seed_gives_the_same_weights_to_the_bit(train: list[Case]) -> None:
    first, other = (fit_taught_summary(train, SMALL, seed=seed).state_dict() for seed in (0, 1))
    again = fit_taught_summary(train, SMALL, seed=0).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_the_network_reads_the_first_events_alone(train: list[Case]) -> None:
    net = fit_taught_summary(train, SMALL)
    growth, _ = net(context_batch([SMALL.features(case.graph.view(case.as_of), DAY) for case in train]))
    assert growth.shape == (len(train),)
    assert net.scale.centre.shape[-1] == ContextConfig.summary().size


def test_too_few_cascades_are_refused(train: list[Case]) -> None:
    with pytest.raises(DatasetError, match="4 cascades are too few"):
        fit_taught_summary(train[: TEACHERS - 1], SMALL)
