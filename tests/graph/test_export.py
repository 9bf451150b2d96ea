"""The exported graphs say what the view says."""

from __future__ import annotations

import subprocess
import sys

import networkx
import numpy as np
from hypothesis import given, settings

from graph import Cascade, Event
from graph.export import to_networkx, to_pyg
from tests.graph.hostile import AS_OF, CASCADE, arrivals
from tests.graph.oracle import OracleCascade
from tests.graph.test_cascade import post, reaction


@given(arrivals(), AS_OF)
def test_networkx_gets_the_oracles_tree(sequence: list[tuple[Event, float]], as_of: float) -> None:
    cascade, oracle = Cascade(CASCADE), OracleCascade(CASCADE)
    for event, watermark in sequence:
        cascade.apply(event, watermark)
        oracle.apply(event, watermark)
    if not cascade.version:
        return
    rows = oracle.view(as_of).rows
    expected = networkx.DiGraph()
    expected.add_nodes_from(range(len(rows)))
    expected.add_edges_from((row["parent"], node) for node, row in enumerate(rows) if node)
    graph = cascade.to_networkx(as_of)
    assert set(graph.nodes) == set(expected.nodes)
    assert set(graph.edges) == set(expected.edges)
    assert networkx.is_arborescence(graph)
    for node, row in enumerate(rows):
        told = graph.nodes[node]
        assert (told["age"], told["depth"], told["id"]) == (row["age"], row["depth"], row["id"])
        assert (told["user"] or 0, told["followers"]) == (row["user"], row["followers"])
        assert told["inferred"] == row["inferred"]
    names = ["post", "repost", "quote", "reply"]
    assert [graph.nodes[node]["kind"] for node in graph] == [names[int(str(row["kind"]))] for row in rows]


@settings(max_examples=20)
@given(arrivals(), AS_OF)
def test_pyg_gets_the_views_tree(sequence: list[tuple[Event, float]], as_of: float) -> None:
    cascade = Cascade(CASCADE)
    for event, watermark in sequence:
        cascade.apply(event, watermark)
    view = cascade.view(as_of)
    data = to_pyg(view)
    assert data.num_nodes == len(view)
    assert data.edge_index.shape == (2, len(view) - 1)
    assert data.edge_index[0].tolist() == view.parents[1:].tolist()
    assert data.edge_index[1].tolist() == list(range(1, len(view)))
    assert np.array_equal(data.user.numpy().view(np.uint64), view.users)
    assert np.array_equal(data.followers.numpy(), view.followers, equal_nan=True)
    temporal = to_pyg(view, temporal=True)
    assert temporal.t.tolist() == view.ages[1:].tolist()
    assert temporal.src.tolist() == data.edge_index[0].tolist()
    assert temporal.dst.tolist() == data.edge_index[1].tolist()
    assert temporal.msg.tolist() == np.stack([view.kinds, view.depths], axis=1)[1:].tolist()


def test_an_export_is_kept_until_the_cascade_changes() -> None:
    cascade = Cascade(CASCADE)
    cascade.apply(post())
    cascade.apply(reaction("a", 1.0))
    graph = cascade.to_networkx()
    assert cascade.to_networkx() is graph
    data = cascade.to_pyg()
    assert cascade.to_pyg() is data
    assert cascade.to_pyg(temporal=True) is not data
    cascade.apply(reaction("b", 1.0))
    assert len(cascade.to_networkx()) == 3
    assert len(graph) == 2


def test_times_are_absolute_and_the_graph_knows_its_cascade() -> None:
    cascade = Cascade(CASCADE)
    cascade.apply(post(time=100.0))
    cascade.apply(reaction("a", 101.5))
    graph = to_networkx(cascade.view())
    assert [graph.nodes[node]["time"] for node in graph] == [100.0, 101.5]
    assert graph.graph["cascade"] == CASCADE


def test_importing_the_graph_imports_neither_torch_nor_networkx_nor_kafka() -> None:
    code = "import sys, graph; print({'torch', 'networkx', 'faust', 'confluent_kafka'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"
