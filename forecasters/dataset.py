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
from typing import Final, Literal

import msgspec
import numpy as np

from forecasters.base import Case
from graph import Cascade, Kind, Rejected, decode_event
from graph.errors import UserError

MIN_EVENTS: Final = 10
"""The protocol keeps cascades with at least this many events before t_o, the root counted."""

SplitKind = Literal["random", "time"]
SPLIT_SHARES: Final = (0.70, 0.15, 0.15)


class DatasetError(UserError):
    """A data file holds nothing to train on or to test with."""


def split_kind(text: str, choices: tuple[str, ...] = ("random", "time")) -> SplitKind:
    """The way to split called ``text``; raises `DatasetError` that names the ``choices`` for any other."""
    if text == "random":
        return "random"
    if text == "time":
        return "time"
    raise DatasetError(f"unknown split {text!r}; use {' or '.join(choices)}")


def just_before(time: float) -> float:
    """The latest event time strictly before ``time``."""
    return math.nextafter(time, -math.inf)


def cut(cascade: Cascade, age_seconds: float, horizon_seconds: float) -> Case:
    """The case of one cascade at one age: input t < age, truth #(t < horizon) - #(t < age)."""
    as_of = just_before(cascade.root_time + age_seconds)
    final = cascade.size_at(just_before(cascade.root_time + horizon_seconds))
    # Reshares can be taken back between the two cuts; popularity that shrinks counts as one that does not
    # grow.
    return Case(cascade, as_of, horizon_seconds, max(0, final - cascade.size_at(as_of)))


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
    only.
    """
    found = []
    for index, cascade in enumerate(cascades):
        rng = np.random.default_rng((seed, index))
        for age in ages if ages is not None else rolling_ages(rng, per_cascade, horizon_seconds):
            if age >= horizon_seconds:
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
    tests on the newest, where the seed changes nothing but the models themselves.
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
    first = round(SPLIT_SHARES[0] * len(groups))
    second = round((SPLIT_SHARES[0] + SPLIT_SHARES[1]) * len(groups))
    parts = (groups[:first], groups[first:second], groups[second:])
    train, validation, test = ([case for group in part for case in group] for part in parts)
    return Split(train, validation, test)


class _RootLabel(msgspec.Struct):
    """What the first-hour file of the DeepHawkes set adds to its root lines."""

    growth_24h: int | None = None
    split: str | None = None


def labelled_cases(
    lines: Iterable[bytes],
    *,
    observe_seconds: float = 3600.0,
    horizon_seconds: float = 86_400.0,
    source: str = "-",
) -> dict[str, list[Case]]:
    """Cases of a file that holds only the observation and says the growth after it on each root line.

    ``growth_24h`` on a root line is the number of reshares from ``observe_seconds`` to ``horizon_seconds``;
    ``split`` names the part. Returns part -> cases. Raises `DatasetError` with the line for a record that is
    no event, and for a file without a single label.
    """
    cascades: dict[str, Cascade] = {}
    labels: dict[str, _RootLabel] = {}
    decoder = msgspec.json.Decoder(_RootLabel)
    for number, line in enumerate(lines, start=1):
        event = decode_event(line)
        if isinstance(event, Rejected):
            raise DatasetError(f"{source}:{number}: {event.message}; mend or remove this line")
        cascades.setdefault(event.cascade, Cascade(event.cascade)).apply(event)
        if event.kind is Kind.POST:
            label = decoder.decode(line)
            if label.growth_24h is not None:
                labels[event.cascade] = label
    if not labels:
        raise DatasetError(f"{source}: no root line has 'growth_24h'; read this file with 'cases' instead")
    parts: dict[str, list[Case]] = {}
    for name, label in labels.items():
        cascade = cascades[name]
        as_of = just_before(cascade.root_time + observe_seconds)
        case = Case(cascade, as_of, horizon_seconds, max(0, label.growth_24h or 0))
        parts.setdefault(label.split or "all", []).append(case)
    return parts


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
