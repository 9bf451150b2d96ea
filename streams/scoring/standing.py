"""How the models of a partition stand: their last scores, whether their errors have changed, who beats whom.

Part of what a partition has learned: stored with it, moved with the partition, the same after a crash. Never changed.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from forecasters.drift import DriftWatch
from forecasters.learning_ages import bucket_of
from forecasters.rivals import Rivals
from forecasters.rolling_scores import RollingScores
from streams.scoring.kept import Truth
from streams.scoring.scores import Verdict, verdicts

ModelAndAge = tuple[str, int]
"""``name@version`` and the bucket of ages."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Of the models of one partition, or of several together."""

    rolling: Mapping[str, RollingScores] = field(default_factory=dict)  # by name@version
    drift: Mapping[ModelAndAge, DriftWatch] = field(default_factory=dict)
    rivals: Rivals = field(default_factory=Rivals)
    counted: tuple[str, int] = ("", 0)
    """The last cascade, and the buckets (as bits) at which it has been counted where one case a cascade counts."""

    def after(self, truths: Sequence[Truth]) -> Standing:
        """The standing after more truths, in their order; how they are grouped changes nothing."""
        buckets = bucket_of(np.array([truth.kept.age_seconds for truth in truths])).tolist()
        rivals, counted = self.rivals.copy(), self.counted
        said: dict[str, list[tuple[int, Verdict]]] = {}
        errors: dict[ModelAndAge, tuple[list[float], list[float]]] = {}
        for truth, bucket in zip(truths, buckets, strict=True):
            # Scores of one cascade at nearly the same age say nearly the same: the first alone is evidence.
            cascade, done = counted if counted[0] == truth.kept.cascade else (truth.kept.cascade, 0)
            first, counted = not done & 1 << bucket, (cascade, done | 1 << bucket)
            for verdict in verdicts(truth):
                said.setdefault(verdict.model, []).append((bucket, verdict))
                if first:
                    values, times = errors.setdefault((verdict.model, bucket), ([], []))
                    values.append(verdict.log_error)
                    times.append(truth.kept.matures)
            if first:
                panel = truth.kept.panel
                rivals.add(panel.models, panel.published, _log_errors(truth), bucket, truth.kept.matures)
        rolling = {model: copy.copy(one) for model, one in self.rolling.items()}
        for model, cases in said.items():
            rolling.setdefault(model, RollingScores()).add(
                [bucket for bucket, _ in cases],
                [verdict.log_error for _, verdict in cases],
                [verdict.absolute_percentage_error for _, verdict in cases],
                [verdict.covered for _, verdict in cases],
            )
        drift = dict(self.drift)
        for key, (values, times) in errors.items():
            drift[key] = drift.get(key, DriftWatch()).after(values, times)
        return Standing(rolling, drift, rivals, counted)

    def of(self, models: Collection[str]) -> Standing:
        """Of ``models`` alone: what is known of others is forgotten."""
        return Standing(
            {model: one for model, one in self.rolling.items() if model in models},
            {key: one for key, one in self.drift.items() if key[0] in models},
            self.rivals.of(models),
            self.counted,
        )

    def snapshot(self) -> dict[str, Any]:
        """Plain values that `restore` reads back, to the bit."""
        return {
            "rolling": {model: one.snapshot() for model, one in self.rolling.items()},
            "drift": [[*key, msgspec.to_builtins(one, builtin_types=(bytes,))] for key, one in self.drift.items()],
            "rivals": self.rivals.snapshot(),
            "counted": list(self.counted),
        }

    @classmethod
    def restore(cls, snapshot: dict[str, Any]) -> Standing:
        """Read back `snapshot`; raises KeyError, TypeError or ValueError for what this version cannot read."""
        cascade, done = snapshot["counted"]
        return cls(
            {model: RollingScores.restore(one) for model, one in snapshot["rolling"].items()},
            {(model, age): msgspec.convert(one, DriftWatch) for model, age, one in snapshot["drift"]},
            Rivals.restore(snapshot["rivals"]),
            (str(cascade), int(done)),
        )


def together(standings: Iterable[Standing]) -> Standing:
    """The standing over several partitions: sums are added, of changes the latest is told.

    Each partition keeps a window of errors of its own, so the detections are added and the windows are not.
    """
    rolling: dict[str, RollingScores] = {}
    drift: dict[ModelAndAge, DriftWatch] = {}
    rivals = Rivals()
    for standing in standings:
        for model, one in standing.rolling.items():
            rolling[model] = rolling[model] + one if model in rolling else one
        for key, watch in standing.drift.items():
            drift[key] = _both(drift[key], watch) if key in drift else watch
        rivals = rivals + standing.rivals
    return Standing(rolling, drift, rivals)


def _both(one: DriftWatch, other: DriftWatch) -> DriftWatch:
    latest = max(one, other, key=lambda watch: watch.last_at)
    return msgspec.structs.replace(latest, window=b"", detections=one.detections + other.detections)


def _log_errors(truth: Truth) -> list[float]:
    """Of every model of the panel, published or not, from increments."""
    increments = np.array([said.increment for said in truth.kept.said()])
    return (np.log2(1.0 + increments) - np.log2(1.0 + truth.growth)).tolist()  # type: ignore[no-any-return]
