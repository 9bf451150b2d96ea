"""What the ConCat network promises: causality, alignment, its loss, and answers that depend on one cascade alone."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasters.concat.batching import shuffled_batches, take
from forecasters.concat.config import ConCatConfig
from forecasters.concat.dynamics import perturb
from forecasters.concat.encoder import EventEncoder, time_code
from forecasters.concat.intensity import MAX_INTENSITY
from forecasters.concat.jump_ode import solve
from forecasters.concat.model import Batch, ConCatNet, Output, state_after_last_event, training_loss
from forecasters.context import ContextConfig

SMALL = ConCatConfig(state_size=8, dropout=0.0, global_features=0)


def random_batch(lengths: list[int], seed: int = 0, users: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    B, N = len(lengths), max(lengths)
    present = torch.arange(N) >= N - torch.tensor(lengths)[:, None]
    times = torch.rand(B, N, generator=generator).sort(dim=1).values
    waves = torch.randn(B, N, 40, generator=generator)
    embedding = torch.randn(B, N, users, generator=generator) if users else None
    return Batch(torch.where(present, times, 0.0), present, waves * present[..., None], embedding)


def network(config: ConCatConfig = SMALL, seed: int = 0) -> ConCatNet:
    """A network off its zero start, so that the flow between events matters."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = ConCatNet(config)
    perturb(net.dynamics, 1.0, torch.Generator().manual_seed(seed))
    return net.eval()


@settings(max_examples=20)
@given(st.integers(1, 6), st.integers(0, 1000), st.sampled_from([0, 4]))
def test_later_events_change_nothing_earlier(changed: int, seed: int, users: int) -> None:
    config = replace(SMALL, global_features=users)
    encoder = EventEncoder(config).eval()
    batch = random_batch([8, 5], seed, users)
    before = encoder(batch.graphwave, batch.users, batch.times, batch.present)
    waves = batch.graphwave.clone()
    waves[:, -changed:] += 3.0
    embedding = None if batch.users is None else batch.users.clone()
    if embedding is not None:
        embedding[:, -changed:] -= 2.0
    after = encoder(waves, embedding, batch.times, batch.present)
    torch.testing.assert_close(after[:, :-changed], before[:, :-changed], atol=0.0, rtol=0.0)
    assert (after[:, -changed:] != before[:, -changed:]).any()


def test_the_local_stack_alone_is_told_the_time() -> None:
    encoder = EventEncoder(replace(SMALL, global_features=4)).eval()
    batch = random_batch([6], users=4)
    early = encoder(batch.graphwave, batch.users, batch.times, batch.present)
    late = encoder(batch.graphwave, batch.users, batch.times * 0.5, batch.present)
    assert (early[..., :40] != late[..., :40]).any()
    torch.testing.assert_close(early[..., 40:], late[..., 40:], atol=0.0, rtol=0.0)


def test_time_code_is_the_sinusoidal_one() -> None:
    code = time_code(torch.tensor([0.0, 0.5]), 4)
    expected = [math.sin(0.5), math.cos(0.5), math.sin(0.005), math.cos(0.005)]
    torch.testing.assert_close(code[0], torch.tensor([0.0, 1.0, 0.0, 1.0]))
    torch.testing.assert_close(code[1], torch.tensor(expected))


@settings(max_examples=20)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(0, 1000))
def test_the_rest_of_the_batch_changes_nothing(lengths: list[int], seed: int) -> None:
    net, batch = network(), random_batch(lengths, seed)
    with torch.no_grad():
        together = net(batch)
        order = torch.randperm(len(lengths), generator=torch.Generator().manual_seed(seed))
        shuffled = net(take(batch, order))
        torch.testing.assert_close(shuffled.growth, together.growth[order], atol=1e-6, rtol=0.0)
        for b in range(len(lengths)):
            alone = net(take(batch, torch.tensor([b])))
            torch.testing.assert_close(alone.growth[0], together.growth[b], atol=1e-6, rtol=0.0)
            torch.testing.assert_close(alone.log_likelihood[0], together.log_likelihood[b], atol=1e-3, rtol=1e-5)


def test_absent_events_have_no_say() -> None:
    net, batch = network(), random_batch([9, 3])
    noisy = replace(batch, graphwave=torch.where(batch.present[..., None], batch.graphwave, 9.0))
    with torch.no_grad():
        assert torch.equal(net(noisy).growth, net(batch).growth)


def test_silence_after_the_last_event_is_seen() -> None:
    """The same events observed twice as long: alignment carries the state on to the observation time."""
    net, batch = network(), random_batch([6])
    with torch.no_grad():
        early = net(replace(batch, times=batch.times * 0.9))
        late = net(replace(batch, times=batch.times * 0.2))
    assert abs(float(early.growth - late.growth)) > 1e-5


def test_without_alignment_the_state_is_read_right_after_the_last_event() -> None:
    net, batch = network(replace(SMALL, alignment=False)), random_batch([6, 3])
    with torch.no_grad():
        encoded = net.encoder(batch.graphwave, None, batch.times, batch.present).transpose(0, 1)
        path = solve(net.dynamics, net.jump, net.initial, encoded, batch.times.t(), batch.present.t())
        after = net.jump(encoded[-1], path.before[-1])
        torch.testing.assert_close(state_after_last_event(path), after, atol=1e-5, rtol=0.0)
        assert (path.final - after).abs().max() > 1e-4
        aligned = network()
        assert (net(batch).integral < aligned(batch).integral).all()


def test_without_a_point_process_lambda_says_nothing() -> None:
    net, batch = network(replace(SMALL, point_process=False)), random_batch([6, 3])
    with torch.no_grad():
        before = net(batch)
        for parameter in net.intensity.parameters():
            parameter.add_(1.0)
        assert torch.equal(net(batch).growth, before.growth)
        assert float(before.integral.abs().sum() + before.log_likelihood.abs().sum()) == 0.0


def test_log_likelihood_of_a_constant_intensity_is_poisson() -> None:
    net, batch = network(), random_batch([9, 3, 1])
    with torch.no_grad():
        for parameter in net.intensity.parameters():
            parameter.zero_()
        output = net(batch)
    rate = MAX_INTENSITY / (1.0 + math.exp(2.0))
    expected = torch.tensor([9.0, 3.0, 1.0]) * math.log(rate) - rate
    torch.testing.assert_close(output.log_likelihood, expected, atol=1e-4, rtol=0.0)
    torch.testing.assert_close(output.integral, torch.full((3,), rate))


def test_loss_is_msle_less_a_tenth_of_the_likelihood_an_event() -> None:
    output = Output(torch.tensor([3.0, 1.0]), torch.tensor([10.0, -4.0]), torch.tensor([5.0, 5.0]))
    loss = training_loss(output, torch.tensor([1.0, 1.0]), torch.tensor(12), 0.1)
    assert loss.item() == pytest.approx((2.0**2 + 0.0) / 2 - 0.1 * 6.0 / 12)


def test_likelihood_can_be_left_out_without_changing_the_forecast() -> None:
    net, batch = network(), random_batch([4, 7])
    with torch.no_grad():
        assert torch.equal(net(batch, likelihood=False).growth, net(batch).growth)


@pytest.mark.parametrize("growth", [0.0, 0.3, 5.0])
def test_a_network_started_at_a_growth_forecasts_it(growth: float) -> None:
    net = network()
    net.start_at(growth)
    with torch.no_grad():
        torch.testing.assert_close(net(random_batch([2, 5])).growth, torch.full((2,), growth), atol=2e-3, rtol=0.0)


def test_every_sample_is_in_one_shuffled_batch() -> None:
    lengths = torch.randint(1, 100, (1000,), generator=torch.Generator().manual_seed(0))
    batches = shuffled_batches(lengths, 64, torch.Generator().manual_seed(1))
    assert sorted(torch.cat(batches).tolist()) == list(range(1000))
    spread = torch.stack([lengths[b].float().std() for b in batches]).mean()
    assert spread < lengths.float().std() / 3


def test_a_missing_user_embedding_is_named() -> None:
    net = network(replace(SMALL, global_features=4))
    with pytest.raises(ValueError, match="global user embedding"):
        net(random_batch([3]))


def test_settings_survive_json_and_unknown_ones_are_named() -> None:
    config = ConCatConfig(context=ContextConfig(width=8), betas=(0.8, 0.9))
    assert ConCatConfig.from_json(config.to_json()) == config
    with pytest.raises(ValueError, match="warp_speed"):
        ConCatConfig.from_json({"warp_speed": 9})
