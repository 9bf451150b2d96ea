"""A view as the graph libraries know it; torch and networkx are imported when they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

import numpy as np

from graph.records import KIND_NAMES
from graph.view import CascadeView

if TYPE_CHECKING:
    import networkx
    import torch_geometric.data


def to_networkx(view: CascadeView) -> networkx.DiGraph[int]:
    """A directed tree, parent -> child. Nodes are the view's indices, 0 is the root.

    Node attributes: ``age`` and ``time`` (s), ``kind``, ``depth``, ``id`` and ``user`` (hashes; user None if unknown),
    ``followers`` (None if unknown), ``inferred`` (hangs on the root for want of a known parent). Graph attributes:
    ``cascade``, ``root_time``, ``as_of``, ``has_root``, ``binned``.
    """
    import networkx

    graph = networkx.DiGraph(
        cascade=view.cascade, root_time=view.root_time, as_of=view.as_of, has_root=view.has_root, binned=view.binned
    )
    columns = (view.ages, view.kinds, view.depths, view.ids, view.users, view.followers, view.inferred)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    for node, (age, kind, depth, key, user, followers, inferred) in enumerate(rows):
        graph.add_node(
            node,
            age=age,
            time=view.root_time + age,
            kind=KIND_NAMES[kind],
            depth=depth,
            id=key,
            user=user or None,
            followers=followers if followers == followers else None,
            inferred=inferred,
        )
    graph.add_edges_from((parent, child) for child, parent in enumerate(view.parents.tolist()) if parent >= 0)
    return graph


@overload
def to_pyg(view: CascadeView, *, temporal: Literal[False] = False) -> torch_geometric.data.Data: ...
@overload
def to_pyg(view: CascadeView, *, temporal: Literal[True]) -> torch_geometric.data.TemporalData: ...
@overload
def to_pyg(view: CascadeView, *, temporal: bool) -> torch_geometric.data.Data | torch_geometric.data.TemporalData: ...
def to_pyg(
    view: CascadeView, *, temporal: bool = False
) -> torch_geometric.data.Data | torch_geometric.data.TemporalData:
    """A PyTorch Geometric graph, parent -> child, nodes in the view's order.

    ``Data``: ``edge_index`` (2, n-1), and by node ``age`` float64 (s), ``depth``, ``kind``, ``user``, ``id`` int64
    (hashes, their 64 bits as signed numbers; user 0 if unknown) and ``followers`` float32 (NaN if unknown).
    ``TemporalData``: one event an edge in order of time, ``src`` the parent, ``dst`` the child, ``t`` its age (float64,
    s), ``msg`` (n-1, 2) float32: kind and depth.
    """
    import torch
    from torch_geometric.data import Data, TemporalData

    children = torch.arange(1, len(view))
    parents = torch.from_numpy(view.parents[1:].astype(np.int64))
    ages = torch.from_numpy(view.ages.copy())
    depths = torch.from_numpy(view.depths.astype(np.int64))
    kinds = torch.from_numpy(view.kinds.astype(np.int64))
    if temporal:
        message = torch.stack((kinds[1:], depths[1:]), dim=1).float()
        return TemporalData(src=parents, dst=children, t=ages[1:], msg=message)
    return Data(
        edge_index=torch.stack((parents, children)),
        num_nodes=len(view),
        age=ages,
        depth=depths,
        kind=kinds,
        user=torch.from_numpy(view.users.view(np.int64).copy()),
        id=torch.from_numpy(view.ids.view(np.int64).copy()),
        followers=torch.from_numpy(view.followers.copy()),
    )
