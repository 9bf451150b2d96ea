"""From whole cascades to test cases: the shared protocol of the field, splits, and cuts at any age.

The protocol (ConCat, CasFT) sees the events at t < t_o and forecasts #(t < t_p) - #(t < t_o). A view holds
what had happened up to and *including* its ``as_of``, so "before t_o" is ``as_of = the largest float below
root + t_o``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from forecasters.base import Case
from forecasters.labels import label_of, observed_until
from graph import Cascade
from graph.errors import UserError

MIN_EVENTS: Final = 10
"""The protocol keeps cascades with at least this many events before t_o, the root counted."""

SplitKind = Literal["random", "time", "none"]
SPLIT_SHARES: Final = (0.70, 0.15, 0.15)
SHARES_WITHOUT_TEST: Final = (0.85, 0.15, 0.0)


class DatasetError(UserError):
    """A data file holds nothing to train on or to test with."""


def split_kind(text: str) -> SplitKind:
    """The way to split called ``text``; raises `DatasetError` that names the ways for any other."""
    if text not in get_args(SplitKind):
        raise DatasetError(f"unknown split {text!r}; use {', '.join(get_args(SplitKind))}")
    return cast("SplitKind", text)


def just_before(time: float) -> float:
    """The latest event time strictly before ``time``."""
    return math.nextafter(time, -math.inf)


def cut(cascade: Cascade, age_seconds: float, horizon_seconds: float) -> Case:
    """The case of one cascade at one age: input t < age, truth #(t < horizon) - #(t < age).

    Where the events end before the horizon, the growth after them is the label of the cascade; raises `DatasetError`
    for an age past its events and for a horizon at which its growth is not known.
    """
    as_of = just_before(cascade.root_time + age_seconds)
    label = label_of(cascade)
    last, unseen = horizon_seconds, 0
    if label is not None and horizon_seconds > label.observed_seconds:
        if age_seconds > label.observed_seconds or horizon_seconds != label.horizon_seconds:
            raise DatasetError(
                f"{cascade.id}: its events end at {label.observed_seconds / 3600:g} h and its growth is known at "
                f"{label.horizon_seconds / 3600:g} h; observe for {label.observed_seconds / 3600:g} h at most, "
                f"with a horizon of {label.horizon_seconds / 3600:g} h"
            )
        last, unseen = label.observed_seconds, label.growth
    final = cascade.size_at(just_before(cascade.root_time + last))
    # Reshares can be taken back between the two cuts; popularity that shrinks counts as one that does not
    # grow.
    return Case(cascade, as_of, horizon_seconds, max(0, final - cascade.size_at(as_of)) + unseen)


def cases(
    cascades: Iterable[Cascade],
    observe_seconds: float,
    horizon_seconds: float,
    min_events: int = MIN_EVENTS,
) -> list[Case]:
    """The protocol's cases: one for each cascade with ``min_events`` (root counted) before
    ``observe_seconds``.

    Events are reshares here; replies are not popularity and count neither as input size nor in the label. A
    cascade whose root was never seen counts from its earliest event. Raises `ValueError` unless 0 < observe <
    horizon.
    """
    if not 0.0 < observe_seconds < horizon_seconds:
        raise ValueError(f"observe ({observe_seconds} s) must lie between 0 and the horizon ({horizon_seconds} s)")
    return [
        cut(cascade, observe_seconds, horizon_seconds)
        for cascade in cascades
        if 1 + cascade.size_at(just_before(cascade.root_time + observe_seconds)) >= min_events
    ]


def rolling_ages(
    rng: np.random.Generator, count: int, horizon_seconds: float, youngest_seconds: float = 60.0
) -> list[float]:
    """``count`` random ages in [youngest, horizon), uniform in log age: forecasts are made most often when
    young."""
    low, high = math.log(youngest_seconds), math.log(horizon_seconds)
    return [min(math.exp(a), just_before(horizon_seconds)) for a in np.sort(rng.uniform(low, high, count))]


def rolling_cases(
    cascades: Iterable[Cascade],
    horizon_seconds: float,
    *,
    ages: Sequence[float] | None = None,
    per_cascade: int = 6,
    min_events: int = 2,
    seed: int = 0,
) -> list[Case]:
    """Cuts of each cascade at the given ``ages``, or at ``per_cascade`` random ones (log-uniform, seeded).

    A cut with fewer than ``min_events`` events (root counted) is left out: nothing has been seen that tells
    it from any other post. The random ages of a cascade depend on ``seed`` and its place in the sequence
    only. A cascade whose events end before the horizon is cut while they last.
    """
    found = []
    for index, cascade in enumerate(cascades):
        rng = np.random.default_rng((seed, index))
        end = min(observed_until(cascade), horizon_seconds)
        for age in ages if ages is not None else rolling_ages(rng, per_cascade, end):
            if age >= horizon_seconds or age > end:
                continue
            if 1 + cascade.size_at(just_before(cascade.root_time + age)) >= min_events:
                found.append(cut(cascade, age, horizon_seconds))
    return found


@dataclass(frozen=True, slots=True)
class Split:
    """Three disjoint parts of the cases; all cuts of one cascade are in the same part."""

    train: list[Case]
    validation: list[Case]
    test: list[Case]


def split_cases(all_cases: Sequence[Case], how: SplitKind, seed: int = 0) -> Split:
    """70 / 15 / 15 of the *cascades*, drawn at random with ``seed`` or in the order of their root times.

    A random split leaks between cascades of one period (arXiv 2510.25348); ``time`` trains on the oldest and
    tests on the newest, where the seed changes nothing but the models themselves. ``none`` is random without a test
    part: 85 / 15.
    """
    by_cascade: dict[str, list[Case]] = {}
    for case in all_cases:
        by_cascade.setdefault(case.graph.id, []).append(case)
    groups = list(by_cascade.values())
    if how == "time":
        groups.sort(key=lambda group: (group[0].graph.root_time, group[0].graph.id))
    else:
        # Sorted first, so that the parts depend on the cascades and not on the order of the file's lines.
        groups.sort(key=lambda group: group[0].graph.id)
        order = np.random.default_rng(seed).permutation(len(groups))
        groups = [groups[i] for i in order]
    shares = SHARES_WITHOUT_TEST if how == "none" else SPLIT_SHARES
    first = round(shares[0] * len(groups))
    second = round((shares[0] + shares[1]) * len(groups))
    parts = (groups[:first], groups[first:second], groups[second:])
    train, validation, test = ([case for group in part for case in group] for part in parts)
    return Split(train, validation, test)


def cross_fitting_parts(some_cases: Sequence[Case], count: int, seed: int | tuple[int, ...]) -> NDArray[np.int64]:
    """Which of ``count`` parts each case is in, (n,): cascades whole, drawn with ``seed``, parts alike in size."""
    names = sorted({case.graph.id for case in some_cases})
    order = np.random.default_rng(seed).permutation(len(names))
    part_of = {names[place]: number % count for number, place in enumerate(order)}
    return np.array([part_of[case.graph.id] for case in some_cases], dtype=np.int64)


def sampled_cases(some_cases: Sequence[Case], most: int | None, seed: int = 0) -> list[Case]:
    """At most ``most`` of the cases in their order, drawn with ``seed``; all of them for None."""
    if most is None or len(some_cases) <= most:
        return list(some_cases)
    return [some_cases[i] for i in np.sort(np.random.default_rng(seed).permutation(len(some_cases))[:most])]


def increments(some_cases: Sequence[Case]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The truths of the cases, shape (n,)."""
    return np.array([case.increment for case in some_cases], dtype=np.float64)


def data_hash(paths: Iterable[Path]) -> str:
    """xxh3-128 of the files' bytes: which data a model was trained on, for its config and card."""
    import xxhash

    digest = xxhash.xxh3_128()
    for path in paths:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
