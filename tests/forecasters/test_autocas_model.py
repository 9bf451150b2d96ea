"""AutoCas as a network: causality, the cache of keys and values, padding, and which weights learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from forecasters.autocas.batching import place
from forecasters.autocas.config import AutoCasConfig
from forecasters.autocas.model import AutoCasNet, Batch, log_sum, training_loss
from forecasters.autocas.rollout import roll_out
from forecasters.autocas.scratch import ScratchModel
from forecasters.autocas.tokens import OBSERVED, SHAPE, tokens_of
from forecasters.autocas.totals import rolled_shares, rolled_total
from tests.forecasters.autocas_problems import ROLLING, SMALL, small_net
from tests.forecasters.cascades import START, random_cascades

DAY = 86_400.0
BOTH = pytest.mark.parametrize("config", [SMALL, ROLLING], ids=["equal", "log"])


def batch_of(config: AutoCasConfig, ages: tuple[float, ...] = (300.0, 3600.0, 40_000.0)) -> Batch:
    """Cascades at mixed ages: rows of different lengths on both sides of the edge."""
    rows = [tokens_of(c.view(START + age), DAY, config) for c in random_cascades(4) for age in ages]
    return place([tokens for tokens, _ in rows], [steps.observed for _, steps in rows])


@BOTH
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_no_position_reads_what_comes_after_it(config: AutoCasConfig, data: st.DataObject) -> None:
    net, batch = small_net(config), batch_of(config)
    N = batch.tokens.shape[1]
    k = data.draw(st.integers(0, N - 1))
    changed = batch.tokens.clone()
    changed[:, k:] += data.draw(st.floats(-3.0, 3.0))
    changed[..., OBSERVED] = batch.tokens[..., OBSERVED]
    with torch.inference_mode():
        before = net(batch)
        after = net(Batch(changed, batch.present, batch.edge))
    present = batch.present[:, :k]
    torch.testing.assert_close(after.following[:, :k][present], before.following[:, :k][present])
    if k > batch.edge:
        torch.testing.assert_close(after.total, before.total)


def test_a_position_does_read_what_came_before_it() -> None:
    net, batch = small_net(SMALL), batch_of(SMALL)
    changed = batch.tokens.clone()
    changed[:, 0, 0] += 1.0
    with torch.inference_mode():
        assert not torch.allclose(net(batch).total, net(Batch(changed, batch.present, batch.edge)).total)


@BOTH
@pytest.mark.parametrize("prompts", [0, 3])
def test_a_roll_out_with_a_cache_is_one_without(config: AutoCasConfig, prompts: int) -> None:
    config = AutoCasConfig.from_json({**config.to_json(), "prompts": prompts})
    net, batch = small_net(config), batch_of(config)
    with torch.inference_mode():
        total, steps = roll_out(net, batch)
        same_total, same_steps = roll_out(net, batch, cached=False)
    torch.testing.assert_close(total, same_total, rtol=1e-6, atol=1e-6)
    used = batch.present[:, batch.edge :]
    torch.testing.assert_close(steps[used], same_steps[used], rtol=1e-6, atol=1e-6)


@BOTH
def test_rolling_out_is_teacher_forcing_with_ones_own_counts(config: AutoCasConfig) -> None:
    net, batch = small_net(config), batch_of(config)
    with torch.inference_mode():
        total, steps = roll_out(net, batch)
        forced = batch.tokens.clone()
        for k in range(batch.edge + 1, forced.shape[1]):
            forced[:, k, 0] = steps[:, k - batch.edge - 1]
            forced[:, k, 1] = log_sum(forced[:, k - 1, 1], forced[:, k, 0])
        out = net(Batch(forced, batch.present, batch.edge))
    torch.testing.assert_close(out.total, total, rtol=1e-5, atol=1e-5)
    used = batch.present[:, batch.edge :]
    torch.testing.assert_close(out.following[:, batch.edge :][used], steps[used], rtol=1e-5, atol=1e-5)


@BOTH
def test_company_in_the_batch_changes_nothing(config: AutoCasConfig) -> None:
    net = small_net(config)
    rows = [tokens_of(c.view(START + a), DAY, config) for c in random_cascades(3) for a in (90.0, 3600.0, 80_000.0)]
    together = place([t for t, _ in rows], [s.observed for _, s in rows])
    with torch.inference_mode():
        totals, all_steps = roll_out(net, together)
        for b, (tokens, steps) in enumerate(rows):
            total, own = roll_out(net, place([tokens], [steps.observed]))
            torch.testing.assert_close(total[0], totals[b], rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(own[0], all_steps[b, : own.shape[1]], rtol=1e-5, atol=1e-5)


def test_the_scratch_model_attends_as_the_formula_says() -> None:
    """One layer against softmax(q k' / sqrt(d)) v written out for each row, head and position."""
    config = AutoCasConfig(width=8, heads=2, layers=1)
    torch.manual_seed(0)
    model = ScratchModel(config).eval().double()
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    present = torch.tensor([[True] * 5, [False, False, True, True, True]])
    hidden, _ = model.read(x, present)
    block = model.blocks[0]
    for b in range(2):
        q, k, v = block.queries_keys_values(block.attention_norm(x[b])).split(8, dim=1)
        for t in range(5):
            if not present[b, t]:
                continue
            seen = [s for s in range(t + 1) if present[b, s]]
            mixed = []
            for head in range(2):
                part = slice(4 * head, 4 * head + 4)
                weight = torch.softmax(k[seen][:, part] @ q[t, part] / 2.0, dim=0)
                mixed.append(weight @ v[seen][:, part])
            y = x[b, t] + block.attended(torch.cat(mixed))
            y = y + block.network(block.network_norm(y))
            torch.testing.assert_close(model.norm(y), hidden[b, t])


def loss_of(net: AutoCasNet) -> Tensor:
    batch = batch_of(SMALL)
    output = net(batch)
    return training_loss(output, torch.ones_like(output.total), torch.ones_like(output.following), 0.5)


def test_every_weight_learns_and_a_frozen_backbone_does_not() -> None:
    net = small_net(SMALL)
    loss_of(net).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters() if p.requires_grad)
    frozen = small_net(AutoCasConfig.from_json({**SMALL.to_json(), "frozen": True}))
    loss_of(frozen).backward()
    assert frozen.scratch is not None
    assert all(p.grad is None for p in frozen.scratch.parameters())
    assert frozen.prompts.grad is not None
    assert frozen.prompts.grad.abs().sum() > 0
    assert all(p.grad is not None for p in frozen.inward.parameters())


def test_unknown_steps_cost_nothing_and_teach_nothing() -> None:
    net, batch = small_net(SMALL), batch_of(SMALL)
    output = net(batch)
    nothing = torch.full_like(output.following, float("nan"))
    loss = training_loss(output, output.total.detach(), nothing, 0.5)
    assert float(loss.detach()) == 0.0
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)


def test_after_the_observation_shape_is_not_read() -> None:
    net, batch = small_net(SMALL), batch_of(SMALL)
    changed = batch.tokens.clone()
    changed[:, batch.edge + 1 :, SHAPE] += 2.0
    with torch.inference_mode():
        torch.testing.assert_close(net(Batch(changed, batch.present, batch.edge)).following, net(batch).following)


@given(a=st.floats(0.0, 29.0), b=st.floats(0.0, 29.0))
def test_the_log_of_a_sum(a: float, b: float) -> None:
    found = float(log_sum(torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64)))
    assert found == pytest.approx(np.log2(2.0**a + 2.0**b - 1.0), abs=1e-9)


def test_a_total_is_the_sum_of_its_steps() -> None:
    steps = torch.log2(1.0 + torch.tensor([[3.0, 4.0, 100.0], [1.0, 1.0, 1.0]]))
    torch.testing.assert_close(rolled_total(steps, torch.tensor([2, 3])), torch.log2(torch.tensor([8.0, 4.0])))


@given(steps=st.lists(st.floats(0.0, 20.0), min_size=1, max_size=12), age=st.floats(0.0, 5000.0))
def test_shares_rise_from_nothing_to_all(steps: list[float], age: float) -> None:
    ends = age + 100.0 * np.arange(1, len(steps) + 1)
    ages = np.linspace(age, ends[-1], 13)
    shares = rolled_shares(ages, age, ends, np.array(steps))
    if shares is None:
        assert max(steps) < 1e-12
        return
    assert (np.diff(shares) >= 0).all()
    assert shares[0] == pytest.approx(0.0, abs=1e-12)
    assert shares[-1] == pytest.approx(1.0)
    at_ends = rolled_shares(ends, age, ends, np.array(steps))
    counts = np.cumsum(np.exp2(steps) - 1.0)
    assert at_ends is not None
    np.testing.assert_allclose(at_ends, counts / counts[-1])
