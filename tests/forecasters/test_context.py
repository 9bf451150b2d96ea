"""The context of a cascade: its features, and the network on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from forecasters.base import Case
from forecasters.context import CONTEXT_SIZE, ContextConfig, context_features
from forecasters.context.features import payload_features
from forecasters.context.fitting import context_cases, fit_context
from forecasters.context.network import ContextNet, context_batch, floored
from forecasters.dataset import cut, increments
from forecasters.labels import GrowthLabel, LabelledCascade
from graph import Cascade, Event, Kind
from tests.forecasters.cascades import cascade_of, random_cascades

DAY = 86_400.0
SMALL = ContextConfig(members=2, width=16, epochs=8, cuts=8, batch_size=64)


def labelled(ages: Sequence[float], name: str, population: str, label: GrowthLabel | None = None) -> LabelledCascade:
    cascade = LabelledCascade(name, population)
    cascade.label = label
    cascade.apply(Event(id=name, cascade=name, kind=Kind.POST, time=1e9, user="author"))
    for i, age in enumerate(ages):
        cascade.apply(
            Event(id=f"{name}:{i}", cascade=name, kind=Kind.REPOST, time=1e9 + age, user=f"u{i}", parent=name)
        )
    return cascade


def inputs_of(cases: Sequence[Case]) -> torch.Tensor:
    return context_batch([SMALL.features(case.graph.view(case.as_of), case.horizon_seconds) for case in cases])


def test_features_count_what_they_say() -> None:
    cascade = cascade_of([10.0, 100.0, 900.0], root_followers=1023, followers=[None, 1, 2], start=1e9)
    features = context_features(cascade.view(1e9 + 1000.0), DAY)
    assert features.shape == (CONTEXT_SIZE,)
    counts = np.exp2(features[:15]) - 1.0
    # ten parts of 100 s: 100 s lies in the second, 900 s in the last
    np.testing.assert_allclose(counts[:10], [1, 1, 0, 0, 0, 0, 0, 0, 0, 1], atol=1e-9)
    # a window begins after the instant it is named by: 100 s is not in the last 900 s
    np.testing.assert_allclose(counts[10:], [0, 1, 1, 3, 3], atol=1e-9)
    np.testing.assert_allclose(features[15:], [2.0, *features[16:21], 10.0, 0.0, 2.0, *features[24:]], atol=1e-9)


def test_features_of_a_view_are_computed_once() -> None:
    view = cascade_of([10.0]).view()
    assert context_features(view, DAY) is context_features(view, DAY)
    assert context_features(view, DAY) is not context_features(view, DAY / 2)


@pytest.mark.parametrize(
    "cascade",
    [Cascade("empty-but-root"), cascade_of([]), cascade_of([0.0] * 50), cascade_of([5.0] * 3, root=False)],
    ids=["nothing", "root", "one-instant", "rootless"],
)
def test_features_are_finite_for_any_view(cascade: Cascade) -> None:
    if cascade.id == "empty-but-root":
        cascade.apply(Event(id="p", cascade=cascade.id, kind=Kind.POST, time=0.0))
    assert np.isfinite(context_features(cascade.view(), DAY)).all()


def test_the_same_seed_gives_the_same_weights_to_the_bit() -> None:
    train = [cut(cascade, 3600.0, DAY) for cascade in random_cascades(40)]
    first, again = fit_context(train, SMALL, seed=3), fit_context(train, SMALL, seed=3)
    other = fit_context(train, SMALL, seed=4)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])
    assert not torch.equal(first.perceptrons.out.weight, other.perceptrons.out.weight)


def test_it_learns_more_than_the_mean() -> None:
    train = [cut(cascade, 3600.0, DAY) for cascade in random_cascades(150)]
    unseen = [cut(cascade, 3600.0, DAY) for cascade in random_cascades(60, seed=9)]
    net = fit_context(train, SMALL)
    truth = np.log2(1.0 + increments(unseen))
    error = floored(net(inputs_of(unseen))[0]).numpy() - truth
    assert (error**2).mean() < 0.6 * truth.var()


def test_a_row_does_not_depend_on_its_batch() -> None:
    train = [cut(cascade, 3600.0, DAY) for cascade in random_cascades(30)]
    net = fit_context(train, SMALL)
    X = inputs_of(train)
    growth, hidden = net(X)
    assert hidden.shape == (30, net.hidden_size)
    torch.testing.assert_close(net(X[7:8])[0], growth[7:8], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(net(X.flip(0))[0].flip(0), growth, rtol=1e-5, atol=1e-5)


def test_populations_have_networks_of_their_own_and_a_gate_that_tells_them_apart() -> None:
    rng = np.random.default_rng(0)
    stopping = [labelled(np.sort(rng.uniform(0, 600, 40)).tolist(), f"s{i}", "stopping") for i in range(40)]
    steady = [labelled(np.sort(rng.uniform(0, DAY, 400)).tolist(), f"t{i}", "steady") for i in range(40)]
    train = [cut(cascade, 7200.0, DAY) for cascade in (*stopping, *steady)]
    net = fit_context(train, SMALL)
    assert net.populations == ("steady", "stopping")
    shares = net.shares(inputs_of(train)).numpy()
    assert shares.sum(1) == pytest.approx(1.0)
    assert shares[:40, 1].min() > 0.6
    assert shares[40:, 0].min() > 0.6
    growth = floored(net(inputs_of(train))[0]).numpy()
    assert growth[40:].mean() > growth[:40].mean() + 3.0  # some grow no more, the others by hundreds


def test_payload_says_what_the_platform_tells() -> None:
    cascade = cascade_of([1.0, 2.0, 3.0, 4.0], followers=[5, None, 7, None], users=["a", "a", "b", None])
    np.testing.assert_allclose(payload_features(cascade.view()), [0.5, 0.0, 4 / 5])  # author, a, b and the unknown one
    assert payload_features(cascade_of([]).view()).tolist() == [0.0, 0.0, 1.0]
    assert np.isfinite(payload_features(Cascade("nothing").view())).all()


def test_posts_that_grow_alike_are_told_apart_by_what_their_platform_tells() -> None:
    def post(population: str, index: int, followers: int | None) -> LabelledCascade:
        cascade = LabelledCascade(f"{population}{index}", population)
        cascade.apply(Event(id=cascade.id, cascade=cascade.id, kind=Kind.POST, time=1e9, user="author"))
        for number, age in enumerate(np.sort(np.random.default_rng(index).uniform(0, DAY, 40)).tolist()):
            repost = Event(
                id=f"{cascade.id}:{number}", cascade=cascade.id, kind=Kind.REPOST, time=1e9 + age, user=f"u{number}",
                parent=cascade.id, followers=followers if number == 0 else None,
            )  # fmt: skip
            cascade.apply(repost)
        return cascade

    telling = [cut(post("telling", index, 0), 7200.0, DAY) for index in range(40)]
    silent = [cut(post("silent", index, None), 7200.0, DAY) for index in range(40)]
    net = fit_context([*telling, *silent], replace(SMALL, gate_epochs=60))
    X = inputs_of([*telling, *silent])
    shares = net.shares(X).numpy()[:, net.populations.index("telling")]
    assert shares[:40].mean() > shares[40:].mean() + 0.5  # followers of 0 are no audience, but they are known
    own = net.perceptrons(net.scale(X[:, : net.read]).repeat_interleave(net.members, 0))[0]
    X[:, net.read :] = 0.5
    again = net.perceptrons(net.scale(X[:, : net.read]).repeat_interleave(net.members, 0))[0]
    assert torch.equal(own, again)
    assert not np.allclose(net.shares(X).numpy()[:, net.populations.index("telling")], shares)


def test_cuts_stay_where_the_growth_is_known() -> None:
    label = GrowthLabel(3600.0, DAY, 100)
    known = labelled([10.0, 20.0, 3000.0], "a", "first-hours", label)
    whole = labelled([10.0, 20.0, 80_000.0], "b", "whole")
    train = [cut(known, 3600.0, DAY), cut(whole, 3600.0, DAY)]
    drawn = context_cases(train, ContextConfig(cuts=60), seed=0)
    of_known = [case for case in drawn if case.graph is known]
    of_whole = [case for case in drawn if case.graph is whole]
    assert {case.horizon_seconds for case in of_known} == {DAY}
    assert all(case.as_of - 1e9 <= 3600.0 and case.increment >= 100 for case in of_known)
    assert 0.2 < np.mean([case.horizon_seconds < DAY for case in of_whole]) < 0.6
    assert all(case.as_of - 1e9 < case.horizon_seconds for case in of_whole)


def test_settings_read_back() -> None:
    assert ContextConfig.from_json(SMALL.to_json()) == SMALL
    with pytest.raises(ValueError, match="breadth"):
        ContextConfig.from_json({"breadth": 3})


def test_the_state_reads_back() -> None:
    train = [cut(cascade, 3600.0, DAY) for cascade in random_cascades(30)]
    net = fit_context(train, SMALL)
    copy = ContextNet(SMALL.size, net.populations, SMALL)
    copy.load_state_dict(net.state_dict())
    assert torch.equal(copy.eval()(inputs_of(train))[0], net(inputs_of(train))[0])


def test_the_last_fit_is_remembered_and_handed_out_as_a_copy() -> None:
    train = [cut(cascade, 3600.0, DAY) for cascade in random_cascades(30)]
    first = fit_context(train, SMALL, seed=1)
    with torch.no_grad():
        first.perceptrons.out.bias.add_(100.0)
    again = fit_context(train, SMALL, seed=1)
    assert float((again.perceptrons.out.bias - first.perceptrons.out.bias).abs().min()) > 50.0
    fit_context(train[:20], SMALL, seed=1)
    anew = fit_context(train, SMALL, seed=1)
    assert torch.equal(anew.perceptrons.out.bias, again.perceptrons.out.bias)
