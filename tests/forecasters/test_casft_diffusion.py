"""The diffusion: its schedule, its sampler where the answer is known, and a denoiser that reads what it denoises."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from forecasters.casft.diffusion import Denoiser, ddim, diffusion_loss, noise_level, sampling_times, signal_level
from forecasters.casft.noise import normal_noise

T = 1000


def denoiser(seed: int = 0, size: int = 3) -> Denoiser:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Denoiser(size, 4, 32, T)


def test_the_schedule_goes_from_pure_signal_to_pure_noise() -> None:
    signal = signal_level(torch.arange(T + 1, dtype=torch.float64), T)
    assert signal[0].item() == pytest.approx(1.0)
    assert signal[-1].item() == pytest.approx(0.0, abs=1e-12)
    assert (torch.diff(signal) < 0).all()
    torch.testing.assert_close(signal**2 + noise_level(signal) ** 2, torch.ones_like(signal))
    # halfway of the cosine schedule half of the variance is signal, but for the offset
    assert signal[T // 2].item() ** 2 == pytest.approx(0.5, abs=0.02)


@given(st.integers(1, 60))
def test_sampling_begins_at_pure_noise_and_ends_above_zero(sampled: int) -> None:
    times = sampling_times(T, sampled)
    assert times[0] == T
    assert len(times) == sampled
    assert times[-1] > 0
    assert times == sorted(times, reverse=True)


@settings(max_examples=20)
@given(st.integers(1, 40), st.integers(0, 1000))
def test_a_perfect_denoiser_recovers_the_truth_from_any_noise(sampled: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randn(5, 4, generator=generator) * 10.0  # far outside [-1, 1]: nothing is clipped
    drawn = ddim(lambda x, t: truth, torch.randn(5, 4, generator=generator), T, sampled)
    torch.testing.assert_close(drawn, truth)


def gaussian(mean: float, spread: float) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation that DDIM draws with the exact denoiser of N(mean, spread^2)."""

    def denoise(x: Tensor, t: Tensor) -> Tensor:
        a = signal_level(t, T)[..., None]
        # E[x_0 | x_t] = mean + a spread^2 (x_t - a mean) / (a^2 spread^2 + s^2)
        return mean + a * spread**2 * (x - a * mean) / (a**2 * spread**2 + 1.0 - a**2)

    drawn = ddim(denoise, torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0)), T, 200)
    return drawn.mean(), drawn.std()


@pytest.mark.parametrize(("mean", "spread"), [(0.0, 1.0), (3.0, 0.5), (-2.0, 2.0)])
def test_the_exact_denoiser_of_a_gaussian_draws_that_gaussian(mean: float, spread: float) -> None:
    found_mean, found_spread = gaussian(mean, spread)
    assert found_mean.item() == pytest.approx(mean, abs=0.05)
    assert found_spread.item() == pytest.approx(spread, rel=0.05)


def test_a_trained_denoiser_draws_what_its_condition_says() -> None:
    """Target: x_0 ~ N((c_0, -c_0), 0.5^2) with correlation 0.8 between its two numbers, given c."""
    net = denoiser(size=2)
    generator = torch.Generator().manual_seed(1)
    optimiser = torch.optim.Adam(net.parameters(), lr=4e-3)
    root = torch.tensor([[1.0, 0.0], [0.8, 0.6]])

    def target(condition: Tensor) -> Tensor:
        centre = torch.stack([condition[:, 0], -condition[:, 0]], dim=1)
        return centre + 0.5 * torch.randn(len(condition), 2, generator=generator) @ root.t()

    for step in range(500):
        optimiser.param_groups[0]["lr"] = 4e-3 * math.cos(math.pi / 2 * step / 500)
        condition = torch.randn(256, 4, generator=generator)
        t = torch.randint(1, T + 1, (256,), generator=generator).float()
        noise = torch.randn(256, 2, generator=generator)
        loss, _ = diffusion_loss(net, target(condition), net.embedded(condition), t, noise)
        optimiser.zero_grad()
        loss.mean().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        for told in (-1.0, 1.0):
            embedded = net.embedded(torch.tensor([[told, 0.0, 0.0, 0.0]]))
            noise = torch.randn(4000, 2, generator=generator)
            drawn = ddim(lambda x, t: net(x, t, embedded), noise, T, 16)  # noqa: B023  used at once
            torch.testing.assert_close(drawn.mean(0), torch.tensor([told, -told]), atol=0.15, rtol=0.0)
            torch.testing.assert_close(drawn.std(0), torch.tensor([0.5, 0.5]), atol=0.1, rtol=0.0)
            assert torch.corrcoef(drawn.t())[0, 1].item() > 0.5


@settings(max_examples=20)
@given(st.integers(0, 1000), st.floats(1.0, 999.0))
def test_the_denoiser_reads_its_noisy_input(seed: int, t: float) -> None:
    net = denoiser(seed)
    generator = torch.Generator().manual_seed(seed)
    embedded = net.embedded(torch.randn(1, 4, generator=generator))
    x = torch.randn(1, 3, generator=generator)
    at = torch.full((1,), t)
    assert not torch.equal(net(x, at, embedded), net(x + 0.1, at, embedded))


def test_samples_for_one_condition_differ_and_the_same_noise_gives_the_same_sample() -> None:
    net = denoiser()
    embedded = net.embedded(torch.ones(1, 4))[:, None]
    noise = torch.randn(1, 6, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        drawn = ddim(lambda x, t: net(x, t, embedded), noise, T, 8)
        again = ddim(lambda x, t: net(x, t, embedded), noise, T, 8)
    assert torch.equal(drawn, again)
    assert len(torch.unique(drawn[0], dim=0)) == 6


@settings(max_examples=10)
@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=5, unique=True), st.integers(1, 33))
def test_noise_belongs_to_its_seed_alone(seeds: list[int], count: int) -> None:
    together = normal_noise(np.array(seeds, dtype=np.uint64), count)
    assert together.shape == (len(seeds), count)
    for row, seed in enumerate(seeds):
        np.testing.assert_array_equal(normal_noise(np.array([seed], dtype=np.uint64), count)[0], together[row])
    assert len({row.tobytes() for row in together}) == len(seeds)


def test_noise_is_standard_normal_and_uncorrelated() -> None:
    noise = normal_noise(np.arange(4000, dtype=np.uint64), 8)
    assert stats.kstest(noise.ravel(), "norm").pvalue > 0.001
    assert np.abs(np.corrcoef(noise.T) - np.eye(8)).max() < 0.06
