"""The cascade as the definitions say it, in dictionaries and lists: slow, obvious, and independent of the real one."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from graph import Event, Kind, Outcome
from graph.identity import hash_of

REACTIONS = {Kind.REPOST: 1, Kind.QUOTE: 2, Kind.REPLY: 3}


@dataclass
class OracleNode:
    event: Event
    visible_from: float


@dataclass
class OracleView:
    """Rows in canonical order; ``parent`` is the row of the parent, -1 for the root."""

    root_time: float
    has_root: bool
    rows: list[dict[str, object]]

    @property
    def size(self) -> int:
        return sum(row["kind"] in (1, 2) for row in self.rows)

    @property
    def depth(self) -> int:
        return max(int(str(row["depth"])) for row in self.rows)

    @property
    def users(self) -> int:
        return len({row["user"] for row in self.rows} - {0})


@dataclass
class OracleCascade:
    id: str
    root: OracleNode | None = None
    nodes: dict[str, OracleNode] = field(default_factory=dict)
    undos: dict[str, float] = field(default_factory=dict)
    withdrawn_at: float = math.inf

    def apply(self, event: Event, watermark: float = -math.inf) -> Outcome:
        at = math.nextafter(watermark, math.inf) if watermark > event.time else event.time
        if event.kind is Kind.UNDO:
            return self._undo(str(event.parent), at)
        if event.id in self.nodes or (self.root is not None and event.id == self.root.event.id):
            return Outcome.DUPLICATE
        if event.kind is Kind.POST:
            if self.root is not None:
                return Outcome.DUPLICATE
            self.root = OracleNode(event, at)
            known = math.nextafter(watermark, math.inf)
            undone = self.undos.pop(event.id, math.inf)
            self.withdrawn_at = min(self.withdrawn_at, undone if watermark <= undone else known)
            return Outcome.APPLIED
        if event.id == self.id:
            return Outcome.DUPLICATE
        self.nodes[event.id] = OracleNode(event, at)
        return Outcome.APPLIED

    def _undo(self, target: str, at: float) -> Outcome:
        if target == self.id or (self.root is not None and target == self.root.event.id):
            if at >= self.withdrawn_at:
                return Outcome.DUPLICATE
            self.withdrawn_at = at
            return Outcome.APPLIED
        if at >= self.undos.get(target, math.inf):
            return Outcome.DUPLICATE
        self.undos[target] = at
        return Outcome.APPLIED

    def _declared(self, node: OracleNode, known: dict[str, OracleNode]) -> str | None:
        """Id of the parent as far as it is known and not the root; None stands for the root."""
        parent = node.event.parent
        return parent if parent in known and parent not in (self.id, node.event.id) else None

    def _parents(self, known: dict[str, OracleNode]) -> dict[str, str | None]:
        """The declared parents, with every cycle cut above the child of the node that became visible last."""
        parents = {name: self._declared(node, known) for name, node in known.items()}
        for name in known:
            walk: list[str] = []
            at: str | None = name
            while at is not None and at not in walk:
                walk.append(at)
                at = parents[at]
            if at is not None:
                cycle = walk[walk.index(at) :]
                last = max(cycle, key=lambda member: (known[member].visible_from, hash_of(member)))
                parents[cycle[cycle.index(last) - 1]] = None
        return parents

    def view(self, as_of: float = math.inf) -> OracleView:
        known = {name: node for name, node in self.nodes.items() if node.visible_from <= as_of}
        root = self.root
        if root is not None and root.visible_from > as_of and known:
            root = None
        times = [root.event.time] if root is not None else [node.event.time for node in known.values()]
        undos = [self.withdrawn_at, *self.undos.values()]
        root_time = min(times, default=min([node.event.time for node in self.nodes.values()], default=min(undos)))
        parents = self._parents(known)
        alive = {name for name in known if self.undos.get(name, math.inf) > as_of or name not in self.undos}

        def bridge(name: str) -> str | None:
            parent = parents[name]
            while parent is not None and parent not in alive:
                parent = parents[parent]
            return parent

        bridged = {name: bridge(name) for name in alive}

        def depth(name: str) -> int:
            parent = bridged[name]
            return 1 if parent is None else 1 + depth(parent)

        def age(name: str) -> float:
            return max(0.0, known[name].event.time - root_time)

        order = sorted(alive, key=lambda name: (age(name), depth(name), hash_of(name)))

        def inferred(name: str) -> bool:
            declared = known[name].event.parent
            return parents[name] is None and declared not in ({self.id, root.event.id} if root else {self.id})

        rows = [self._row(root.event if root else None, 0.0, -1, 0, False)]
        for name in order:
            parent = bridged[name]
            parent_row = 0 if parent is None else 1 + order.index(parent)
            rows.append(self._row(known[name].event, age(name), parent_row, depth(name), inferred(name)))
        return OracleView(root_time, root is not None, rows)

    @staticmethod
    def _row(event: Event | None, age: float, parent: int, depth: int, inferred: bool) -> dict[str, object]:
        return {
            "id": 0 if event is None else hash_of(event.id),
            "age": age,
            "parent": parent,
            "depth": depth,
            "user": 0 if event is None or event.user is None else hash_of(event.user),
            "inferred": inferred,
            "kind": 0 if event is None else REACTIONS.get(event.kind, 0),
            "followers": None if event is None else event.followers,
        }
