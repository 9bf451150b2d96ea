"""What a stream's posts resemble: who votes for what, and what a forecaster makes of it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasters.autocas import AutoCasForecaster
from forecasters.base import Case, Forecaster
from forecasters.blend import BlendForecaster
from forecasters.blend.judging import Judged
from forecasters.casft import CasFTForecaster
from forecasters.concat import ConCatForecaster
from forecasters.context import ContextConfig
from forecasters.context.fitting import fit_context
from forecasters.context.network import ContextNet, context_batch
from forecasters.dataset import cut
from forecasters.hawkes import HawkesForecaster
from forecasters.labels import LabelledCascade
from forecasters.platform_votes import MEMORY_VOTES, PopulationVotes, examples_in_turn, votes_by_file
from forecasters.runs import run_on
from forecasters.trees import TreesForecaster
from forecasters.trees.gate import GateArrays
from graph import Event, Kind
from tests.forecasters.test_contract import small

DAY = 86_400.0
KINDS = {"concat": ConCatForecaster, "casft": CasFTForecaster, "autocas": AutoCasForecaster}


def post(population: str, index: int, ages: list[float], *, start: float = 1e9, file: str | None = None) -> Case:
    """A post at the age of two hours."""
    cascade = LabelledCascade(f"{population}{index}", file or population)
    cascade.apply(Event(id=cascade.id, cascade=cascade.id, kind=Kind.POST, time=start, user="author"))
    for number, age in enumerate(ages):
        cascade.apply(
            Event(
                id=f"{cascade.id}:{number}",
                cascade=cascade.id,
                kind=Kind.REPOST,
                time=start + age,
                user=f"u{number}",
                parent=cascade.id,
            )
        )
    return cut(cascade, 7200.0, DAY)


def stopping(index: int, **more: object) -> Case:
    """Forty reshares in ten minutes, and no more."""
    rng = np.random.default_rng((0, index))
    return post("stopping", index, np.sort(rng.uniform(0, 600, 40)).tolist(), **more)  # type: ignore[arg-type]


def steady(index: int, **more: object) -> Case:
    """Four hundred over the day."""
    rng = np.random.default_rng((1, index))
    return post("steady", index, np.sort(rng.uniform(0, DAY, 400)).tolist(), **more)  # type: ignore[arg-type]


@cache
def of_two(name: str) -> Forecaster:
    """A forecaster of two populations, fitted quickly."""
    train = [stopping(i) for i in range(30)] + [steady(i) for i in range(30)]
    if name == "blend":
        blend = BlendForecaster.of_fresh(["hawkes", "concat"])
        return blend.fit(train[::2], train[1::2], seed=0, epochs=1, fitted={"concat": of_two("concat")})
    if name == "trees":
        few = ContextConfig(members=1, width=16, epochs=2, cuts=16, teachers=0)
        with patch("forecasters.trees.forecaster.ContextConfig", lambda: few):
            return TreesForecaster().fit(train, [], seed=0)
    forecaster = small(KINDS[name]())
    return forecaster.fit(train[::2], train[1::2], seed=0, epochs=1)  # type: ignore[call-arg]


each = pytest.mark.parametrize("name", [*KINDS, "trees", "blend"])


def context_of(forecaster: Forecaster) -> ContextNet:
    assert isinstance(forecaster, ConCatForecaster)
    net = forecaster.nets[0].context
    assert net is not None
    return net


def prepared(forecaster: Forecaster, case: Case) -> object:
    return forecaster.prepare(case.graph, case.as_of, case.horizon_seconds)


@each
def test_a_post_votes_for_what_it_resembles_by_itself(name: str) -> None:
    forecaster = of_two(name)
    examples = [forecaster.prepare(c.graph, c.as_of, c.horizon_seconds) for c in (stopping(99), steady(99))]
    assert forecaster.votes(examples) == ["stopping", "steady"]
    swayed = [forecaster.in_stream(example, {"steady": 1e6, "stopping": 0.0}) for example in examples]
    assert forecaster.votes(swayed) == ["stopping", "steady"]
    assert forecaster.votes([]) == []


@each
def test_the_votes_of_a_stream_say_what_to_expect(name: str) -> None:
    forecaster = of_two(name)
    case = stopping(99)
    alone = forecaster.prepare(case.graph, case.as_of, case.horizon_seconds)
    told = {
        kind: forecaster.forecast([forecaster.in_stream(alone, {kind: 700.0})]).increment[0]
        for kind in ("stopping", "steady", "of no model")
    }
    assert told["steady"] > told["stopping"] + 0.5
    assert told["of no model"] == forecaster.forecast([alone]).increment[0]
    again = forecaster.in_stream(forecaster.in_stream(alone, {"steady": 700.0}), {})
    assert forecaster.forecast([again]).increment[0] == forecaster.forecast([alone]).increment[0]


@each
def test_what_else_is_in_a_batch_changes_nothing(name: str) -> None:
    """Also where streams have shown different things, or nothing."""
    forecaster = of_two(name)
    cases = [stopping(90), steady(90), stopping(91), steady(91)]
    votes: list[dict[str, float]] = [{"steady": 5.0}, {}, {"stopping": 50.0, "steady": 2.0}, {"of no model": 3.0}]
    examples = [
        forecaster.in_stream(forecaster.prepare(c.graph, c.as_of, c.horizon_seconds), of)
        for c, of in zip(cases, votes, strict=True)
    ]
    together = forecaster.forecast(examples).increment
    each_alone = [forecaster.forecast([example]).increment[0] for example in examples]
    np.testing.assert_allclose(together, each_alone, rtol=1e-4)


def test_without_votes_shares_are_those_of_the_post_to_the_bit() -> None:
    forecaster = of_two("concat")
    net = context_of(forecaster)
    cases = [stopping(90), steady(90)]
    rows = [forecaster.prepare(c.graph, c.as_of, c.horizon_seconds).inputs["context"] for c in cases]
    plain = net.shares(context_batch(rows))
    assert torch.equal(net.shares(context_batch([np.append(row, [0.0, 0.0]) for row in rows])), plain)
    mixed = net.shares(context_batch([rows[0], np.append(rows[1], [0.0, 9.0])]))
    assert torch.equal(mixed[0], plain[0])
    assert not torch.equal(mixed[1], plain[1])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.0, 1e6), min_size=2, max_size=2), st.integers(0, 20))
def test_shares_follow_bayes(votes: list[float], index: int) -> None:
    """The reference multiplies odds, post by post."""
    net = context_of(of_two("concat"))
    case = (stopping if index % 2 else steady)(index)
    row = of_two("concat").prepare(case.graph, case.as_of, case.horizon_seconds).inputs["context"]
    alone = net.shares(context_batch([row]))[0].double().numpy()
    found = net.shares(context_batch([np.append(row, votes)]))[0].double().numpy()
    expected = alone
    if sum(votes) > 0:
        doubt = 0.1 * sum(votes) / (sum(votes) + 2)
        odds = [(share * (1 - doubt) + doubt / 2) * (vote + 1) for share, vote in zip(alone, votes, strict=True)]
        expected = np.array(odds) / sum(odds)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert found.sum() == pytest.approx(1.0, abs=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.lists(st.floats(0.0, 1e6), min_size=2, max_size=2))
def test_the_gate_as_arrays_says_what_the_network_says(seed: int, votes: list[float]) -> None:
    net = context_of(of_two("concat"))
    gate = GateArrays.of(net)
    X = 10.0 * np.random.default_rng(seed).normal(size=(7, net.inputs))
    told = np.tile(votes, (7, 1))
    found = gate.shares(X, told)
    np.testing.assert_allclose(found, net.shares(context_batch(list(np.hstack([X, told])))).numpy(), atol=1e-4)
    assert np.array_equal(gate.shares(X[3:4], told[3:4]), found[3:4])
    again = GateArrays.from_tensors(gate.tensors(), gate.populations)
    assert np.array_equal(again.shares(X, told), found)


@pytest.mark.parametrize("damage", ["missing", "cut", "populations"])
def test_a_damaged_gate_is_refused(damage: str) -> None:
    gate = GateArrays.of(context_of(of_two("concat")))
    tensors, populations = gate.tensors(), list(gate.populations)
    if damage == "missing":
        del tensors["gate.1.bias"]
    elif damage == "cut":
        tensors["gate.1.weight"] = tensors["gate.1.weight"][:, 1:]
    else:
        populations.append("one more")
    with pytest.raises((KeyError, ValueError)):
        GateArrays.from_tensors(tensors, populations)


def test_stored_trees_have_their_gate(tmp_path: Path) -> None:
    trees = of_two("trees")
    trees.save(tmp_path)
    loaded = TreesForecaster.load(tmp_path)
    for case in (stopping(99), steady(99)):
        for votes in ({}, {"steady": 700.0}, {"stopping": 700.0}):
            one, other = (f.in_stream(f.prepare(case.graph, case.as_of, DAY), votes) for f in (trees, loaded))
            assert trees.forecast([one]).increment[0] == loaded.forecast([other]).increment[0]


def test_trees_of_one_population_have_no_gate() -> None:
    train = [steady(i) for i in range(30)]
    trees = TreesForecaster().fit_labelled(train, np.zeros(30), [], seed=0)
    assert trees.gate is None
    assert not trees.tells_populations


def test_networks_and_trees_fitted_to_the_same_cases_have_the_same_gate() -> None:
    train = [stopping(i) for i in range(30)] + [steady(i) for i in range(30)]
    few = ContextConfig(members=1, width=16, epochs=2, cuts=16, teachers=0)
    net, trees = fit_context(train, few, seed=0), of_two("trees")
    assert isinstance(trees, TreesForecaster)
    assert trees.gate is not None
    assert trees.gate.populations == net.populations
    for (weight, bias), layer in zip(trees.gate.layers, [net.gate[0], net.gate[2], net.gate[4]], strict=True):
        assert np.array_equal(weight, layer.weight.numpy())
        assert np.array_equal(bias, layer.bias.numpy())


def test_who_knows_one_population_only_is_not_swayed() -> None:
    forecaster = small(ConCatForecaster()).fit([steady(i) for i in range(30)], [], seed=0)
    case = stopping(99)
    alone = forecaster.prepare(case.graph, case.as_of, case.horizon_seconds)
    told = forecaster.in_stream(alone, {"steady": 3.0, "other": 9.0})
    assert forecaster.forecast([told]).increment[0] == forecaster.forecast([alone]).increment[0]
    assert forecaster.votes([alone]) == ["steady"]


def test_who_cannot_tell_has_no_vote() -> None:
    forecaster = HawkesForecaster()
    case = steady(0)
    example = forecaster.prepare(case.graph, case.as_of, case.horizon_seconds)
    assert forecaster.votes([example]) is None
    assert forecaster.in_stream(example, {"steady": 9.0}) is example
    assert votes_by_file(forecaster, [case]) == {}
    assert len(examples_in_turn(forecaster, [case])) == 1


@given(st.lists(st.sampled_from("abc"), max_size=40), st.integers(0, 40))
def test_votes_do_not_depend_on_how_they_are_grouped(names: list[str], at: int) -> None:
    whole = PopulationVotes().after(names)
    assert PopulationVotes().after(names[:at]).after(names[at:]) == whole
    reference: dict[str, float] = {}
    for place, name in enumerate(names):  # each weighs what the later ones have left of it
        reference[name] = reference.get(name, 0.0) + float(np.exp(-(len(names) - 1 - place) / MEMORY_VOTES))
    assert whole.counts == pytest.approx(reference)


def test_only_earlier_posts_of_the_same_file_have_a_vote() -> None:
    forecaster = of_two("concat")
    net = context_of(forecaster)
    assert net.populations == ("steady", "stopping")
    cases = [
        steady(4, start=1e9 + 300.0, file="one"),
        steady(1, start=1e9, file="one"),
        stopping(2, start=1e9 + 100.0, file="one"),
        steady(3, start=1e9 + 100.0, file="one"),
        stopping(5, start=1e9 + 200.0, file="other"),
    ]
    found = [example.inputs["context"][net.inputs :] for example in examples_in_turn(forecaster, cases)]
    assert [len(votes) for votes in found] == [2, 0, 2, 2, 0]  # none before the first
    np.testing.assert_allclose(found[0], [2.0, 1.0], rtol=0.01)
    np.testing.assert_allclose(found[2], [1.0, 0.0])
    np.testing.assert_allclose(found[3], [1.0, 0.0])  # what comes at the same time is not earlier
    alone = examples_in_turn(forecaster, cases, alone=True)
    assert [len(example.inputs["context"]) for example in alone] == [net.inputs] * 5


def test_a_benchmark_is_a_stream_unless_each_post_is_to_stand_alone() -> None:
    forecaster = of_two("concat")
    cases = [steady(i, start=1e9 + i, file="one") for i in range(12)]
    # nothing came of this one yet, and by itself it resembles those that stop
    silent = post("odd", 0, [], start=1e9 + 99.0, file="one")
    in_stream = run_on(forecaster, [*cases, silent], model="concat", observe_seconds=7200.0, seed=None)
    alone = run_on(forecaster, [*cases, silent], model="concat", observe_seconds=7200.0, seed=None, alone=True)
    assert in_stream.predicted[0] == alone.predicted[0]
    assert in_stream.predicted[-1] != alone.predicted[-1]
    known = forecaster.in_stream(
        forecaster.prepare(silent.graph, silent.as_of, silent.horizon_seconds),
        PopulationVotes().after(["steady"] * 12).counts,
    )
    assert in_stream.predicted[-1] == pytest.approx(forecaster.forecast([known]).increment[0], rel=1e-4)


def test_a_blend_is_fitted_for_streams_whose_platform_is_known() -> None:
    concat = of_two("concat")
    judged = [steady(i) for i in range(20, 40)] + [stopping(i) for i in range(20, 40)]
    votes = votes_by_file(concat, judged)
    assert {file: max(one.counts, key=one.counts.__getitem__) for file, one in votes.items()} == {
        "steady": "steady",
        "stopping": "stopping",
    }
    blend = BlendForecaster.of_fresh(["hawkes", "concat"])
    blend.fit([], judged, seed=0, fitted={"concat": concat})
    found = Judged.of(blend, judged)
    case = judged[0]
    told = concat.in_stream(concat.prepare(case.graph, case.as_of, DAY), votes["steady"].counts)
    assert found.logs[0, 1] == pytest.approx(np.log2(1.0 + concat.forecast([told]).increment[0]), rel=1e-4)


def test_votes_survive_nothing_but_the_stream(tmp_path: Path) -> None:
    """A stored model knows no stream: it comes without votes."""
    forecaster = of_two("concat")
    forecaster.save(tmp_path)
    loaded = ConCatForecaster.load(tmp_path)
    case = stopping(99)
    example = loaded.prepare(case.graph, case.as_of, case.horizon_seconds)
    told = replace(example, inputs=loaded.in_stream(example, {"steady": 700.0}).inputs)
    assert loaded.forecast([told]).increment[0] > loaded.forecast([example]).increment[0]


def test_trees_learn_from_populations_as_they_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the gate makes of a training case, which it may take for one of another population."""
    cases = [stopping(i) for i in range(30)] + [steady(i) for i in range(30)]
    trees = of_two("trees")
    assert isinstance(trees, TreesForecaster)
    assert trees.gate is not None
    blind = replace(trees.gate, layers=tuple((0.0 * weight, bias) for weight, bias in trees.gate.layers))
    monkeypatch.setattr(trees, "gate", blind)
    columns = trees.matrix(trees.prepared(cases))[:, -2:]
    assert columns[:, trees.gate.populations.index("stopping")].tolist() == [1.0] * 30 + [0.0] * 30
    assert columns.sum(axis=1).tolist() == [1.0] * 60
    told = trees.matrix([trees.prepare(case.graph, case.as_of, DAY) for case in cases])[:, -2:]
    assert len(np.unique(told, axis=0)) == 1  # a blind gate tells nothing apart
