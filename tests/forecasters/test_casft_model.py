"""What the CasFT network promises: cues equal to dopri5's, answers that depend on one cascade alone, an honest loss."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasters.casft.batching import Prepared
from forecasters.casft.config import CasFTConfig, TrendSource
from forecasters.casft.intensity import SoftplusIntensity
from forecasters.casft.model import Batch, CasFTNet, Truth
from forecasters.casft.reference import reference_cues
from forecasters.concat.dynamics import perturb
from forecasters.concat.model import Batch as Observation

SMALL = CasFTConfig(state_size=8, dropout=0.0, intervals=4, samples=6, denoiser_width=16, global_features=0)


def random_batch(lengths: list[int], seed: int = 0, config: CasFTConfig = SMALL) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    B, N = len(lengths), max(lengths)
    present = torch.arange(N) >= N - torch.tensor(lengths)[:, None]
    times = torch.rand(B, N, generator=generator).sort(dim=1).values
    waves = torch.randn(B, N, 40, generator=generator) * present[..., None]
    observed = torch.rand(B, generator=generator) * 0.9 + 0.05
    noise = torch.randn(B, config.samples // 2, config.intervals, generator=generator)
    return Batch(Observation(torch.where(present, times, 0.0), present, waves), observed, noise)


def network(config: CasFTConfig = SMALL, seed: int = 0) -> CasFTNet:
    """A network off its zero start, so that the flow between events matters."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = CasFTNet(config)
    perturb(net.cues.dynamics, 1.0, torch.Generator().manual_seed(seed))
    return net.eval()


def truth_of(batch: Batch, config: CasFTConfig = SMALL) -> Truth:
    B = len(batch.observed)
    trend = torch.arange(B * config.intervals, dtype=torch.float32).view(B, -1) % 5
    return Truth(torch.log2(1 + (2**trend - 1).sum(1)), trend, torch.ones(B, dtype=torch.bool))


@settings(max_examples=12)
@given(st.lists(st.integers(1, 7), min_size=1, max_size=3), st.integers(0, 1000), st.sampled_from(["linear", "deep"]))
def test_cues_are_those_of_dopri5(lengths: list[int], seed: int, dynamics: Literal["linear", "deep"]) -> None:
    config = replace(SMALL, dynamics=dynamics)
    net = network(config, seed).double()
    batch = random_batch(lengths, seed)
    o = batch.observation
    observation = Observation(o.times.double(), o.present, o.graphwave.double())
    with torch.no_grad():
        fast = net.cues(observation, batch.observed.double())
        exact = reference_cues(net.cues, observation, batch.observed.double(), tolerance=1e-8, adjoint=False)
    for name in ("state", "future", "log_likelihood"):
        torch.testing.assert_close(getattr(fast, name), getattr(exact, name), atol=1e-4, rtol=1e-4, msg=name)


def test_forecasts_are_those_of_the_reference_path_at_full_size() -> None:
    config = replace(CasFTConfig(), global_features=0)
    net = network(config)
    batch = random_batch([100, 60, 13, 1], config=config)
    with torch.no_grad():
        fast = net(batch)
        exact = reference_cues(net.cues, batch.observation, batch.observed, tolerance=1e-5, adjoint=False)
        reference = net.forecast_from(exact, batch)
    torch.testing.assert_close(fast.growth, reference.growth, atol=1e-4, rtol=0.0)
    torch.testing.assert_close(fast.trends, reference.trends, atol=1e-4, rtol=1e-4)


def test_gradients_of_the_cues_are_those_through_dopri5() -> None:
    gradients = []
    for reference in (False, True):
        net = network().double()
        batch = random_batch([5, 2])
        o = batch.observation
        observation, observed = Observation(o.times.double(), o.present, o.graphwave.double()), batch.observed.double()
        cues = (
            reference_cues(net.cues, observation, observed, tolerance=1e-9, adjoint=False)
            if reference
            else net.cues(observation, observed)
        )
        loss = cues.state.pow(2).sum() + cues.future.log().sum() + cues.log_likelihood.sum()
        gradients.append(torch.autograd.grad(loss, list(net.cues.parameters())))
    for fast, exact in zip(*gradients, strict=True):
        torch.testing.assert_close(fast, exact, atol=1e-5, rtol=1e-4)


def test_a_constant_intensity_grows_linearly_to_the_horizon() -> None:
    net = network()
    with torch.no_grad():
        for parameter in net.cues.intensity.parameters():
            parameter.zero_()
        net.cues.intensity.pace.fill_(50.0)
        batch = random_batch([4, 2])
        future = net.cues(batch.observation, batch.observed).future
    rate = 50.0 * torch.log(torch.tensor(2.0))
    parts = torch.arange(1, 5) / 4 * (1.0 - batch.observed[:, None])
    torch.testing.assert_close(future, rate * parts)


@settings(max_examples=15)
@given(st.lists(st.integers(1, 6), min_size=2, max_size=4), st.integers(0, 100))
def test_a_cascade_is_forecast_the_same_alone_padded_and_permuted(lengths: list[int], seed: int) -> None:
    net = network(seed=seed)
    batch = random_batch(lengths, seed)
    prepared = Prepared(batch, truth_of(batch), batch.observation.present.sum(1))
    with torch.no_grad():
        whole = net(batch)
        order = torch.arange(len(lengths)).flip(0)
        permuted = net(prepared.rows(order)[0])
        torch.testing.assert_close(permuted.growth[order], whole.growth, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(permuted.trends[order], whole.trends, atol=1e-5, rtol=1e-5)
        for row in range(len(lengths)):
            alone = net(prepared.rows(torch.tensor([row]))[0])  # cut to its own length
            torch.testing.assert_close(alone.growth[0], whole.growth[row], atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(alone.trends[0], whole.trends[row], atol=1e-5, rtol=1e-5)


def test_another_noise_draws_other_trends() -> None:
    net = network()
    batch = random_batch([4, 6])
    with torch.no_grad():
        first, other = net(batch), net(replace(batch, noise=batch.noise + 1.0))
    assert first.trends.shape == (2, SMALL.samples, SMALL.intervals)
    assert not torch.isclose(first.trends, other.trends).any()
    for row in first.trends:
        assert len(torch.unique(row, dim=0)) == SMALL.samples


def test_unknown_trends_are_left_out_of_the_loss() -> None:
    net = network().train()
    batch = random_batch([4, 6, 3])
    truth = replace(truth_of(batch), known=torch.tensor([True, False, True]))
    other = truth.trend.clone()
    other[1] = 77.0

    def loss(trend: torch.Tensor) -> float:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return net.loss(batch, replace(truth, trend=trend)).item()

    assert loss(truth.trend) == loss(other)
    other[0] = 77.0
    assert loss(truth.trend) != loss(other)


@pytest.mark.parametrize("trend", ["diffusion", "regression", "latent", "none"])
@pytest.mark.parametrize("ode_cues", [True, False])
def test_every_part_of_every_ablation_learns(trend: TrendSource, ode_cues: bool) -> None:
    net = network(replace(SMALL, trend=trend, ode_cues=ode_cues)).train()
    batch = random_batch([4, 6])
    net.loss(batch, truth_of(batch)).backward()  # type: ignore[no-untyped-call]
    untouched = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert untouched == []


def test_without_a_trend_none_is_drawn_and_without_cues_nothing_is_propagated() -> None:
    batch = random_batch([4, 6])
    with torch.no_grad():
        assert network(replace(SMALL, trend="none"))(batch).trends.shape == (2, 0, 4)
        net = network(replace(SMALL, ode_cues=False))
        assert net.cues(batch.observation, batch.observed).future.shape == (2, 0)
        assert net.cues.size == SMALL.state_size


def test_log_intensity_stays_finite_where_the_intensity_underflows() -> None:
    intensity = SoftplusIntensity(2)
    state = torch.zeros(1, 2, requires_grad=True)
    with torch.no_grad():
        intensity.outer.bias.fill_(-500.0)
    logs = intensity.log(state)
    logs.sum().backward()  # type: ignore[no-untyped-call]
    assert intensity(state).item() == 0.0
    assert torch.isfinite(logs).all()
    assert state.grad is not None
    assert torch.isfinite(state.grad).all()


def test_settings_survive_json_and_unknown_ones_are_named() -> None:
    for config in (CasFTConfig(betas=(0.8, 0.9)), CasFTConfig.full()):
        assert CasFTConfig.from_json(config.to_json()) == config
    with pytest.raises(ValueError, match="warp_speed"):
        CasFTConfig.from_json({"warp_speed": 9})
    with pytest.raises(ValueError, match="even"):
        CasFTConfig(samples=5)
