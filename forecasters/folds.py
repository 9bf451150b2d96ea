"""Which cases train and which test, for each protocol: at every observation age, and at random ages.

The papers fit a model for one observation age; what runs beside a stream answers at any. So there are two protocols.
``paper``: the cascades with enough events at an age are split at that age, and everything is fitted there. ``rolling``:
the cascades are split once, a rolling model is trained once on random ages of the training cascades, and everything is
scored at each age on the same test cascades; what needs one age is fitted at each on the same training cascades.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from forecasters.base import Case
from forecasters.dataset import (
    DatasetError,
    Split,
    SplitKind,
    cases,
    rolling_cases,
    split_cases,
)
from forecasters.labels import observed_until
from graph import Cascade
from graph.durations import format_duration

Protocol = Literal["paper", "rolling"]
MIN_CASES: Final = 20
"""Fewer leave a validation part of two or three: nothing can be chosen or calibrated by that."""


@dataclass(frozen=True, slots=True)
class Fold:
    """One way to train and test: ``at`` each observation age and, where there is one, at random ages."""

    at: dict[float, Split]
    rolling: Split | None = None
    tested: Sequence[Cascade] = ()
    """All cascades of the test part, those with few events at these ages too; not for the papers' protocol."""
    calibrating: Sequence[Case] = ()
    """The validation cases that are of the same posts as the tested ones, for coverage at many levels."""


def paper_fold(
    cascades: Sequence[Cascade], ages: Sequence[float], horizon_seconds: float, how: SplitKind, *, seed: int, least: int
) -> Fold:
    """Each age for itself: the cascades with ``least`` events by then, split. Raises `DatasetError` below 20."""
    at = {}
    for age in ages:
        found = cases(cascades, age, horizon_seconds, least)
        enough(len(found), len(cascades), age, least, MIN_CASES)
        at[age] = split_cases(found, how, seed)
    return Fold(at)


def rolling_fold(
    cascades: Sequence[Cascade],
    ages: Sequence[float],
    horizon_seconds: float,
    how: SplitKind,
    *,
    seed: int,
    least: int,
    beside: Sequence[Cascade] = (),
) -> Fold:
    """Cascades split once; random ages drawn by ``seed``. Raises `DatasetError` where an age has too few cases.

    Cascades ``beside`` them, of other posts, join what is trained at random ages, 85 % of them to fit to and 15 % to
    choose by. They are never tested, and what is fitted at one age does without them.
    """
    for age in ages:
        if not _lasting(cascades, age):
            cases(cascades, age, horizon_seconds, 0)  # says that all events end before this age
    rolling = split_cases(rolling_cases(cascades, horizon_seconds, seed=seed), how, seed)
    others = split_cases(rolling_cases(beside, horizon_seconds, seed=seed), "none", seed)
    at = {age: cut_again(rolling, age, horizon_seconds, least) for age in ages}
    for age, split in at.items():
        enough(len(split.train) + len(split.validation) + len(split.test), len(cascades), age, least, MIN_CASES)
        if not (split.train and split.test):
            raise DatasetError(f"no cascade to {'test' if split.train else 'train'} on at {format_duration(age)}")
    together = Split(rolling.train + others.train, rolling.validation + others.validation, rolling.test)
    return Fold(at, together, cascades_of(rolling.test), rolling.validation)


def held_out_fold(
    test: Sequence[Cascade],
    training: Sequence[Cascade],
    ages: Sequence[float],
    horizon_seconds: float,
    *,
    seed: int,
    least: int,
) -> Fold:
    """Train on some cascades, 15 % of them for choosing, and test on all of the others; ``training`` may be empty."""
    at = {}
    for age in ages:
        found = cases(test, age, horizon_seconds, least)
        enough(len(found), len(test), age, least, 1)
        fitting = cases(_lasting(training, age), age, horizon_seconds, least)
        if training:
            enough(len(fitting), len(training), age, least, MIN_CASES)
        parts = split_cases(fitting, "none", seed)
        at[age] = Split(parts.train, parts.validation, found)
    return Fold(at, tested=test)


def cut_again(split: Split, age: float, horizon_seconds: float, least: int) -> Split:
    """The same cascades in the same parts, cut at one age where they have ``least`` events and go on till then."""

    def cut(part: Sequence[Case]) -> list[Case]:
        return cases(_lasting(cascades_of(part), age), age, horizon_seconds, least)

    return Split(cut(split.train), cut(split.validation), cut(split.test))


def _lasting(cascades: Sequence[Cascade], age: float) -> list[Cascade]:
    """Those whose events are known up to ``age``."""
    return [cascade for cascade in cascades if observed_until(cascade) >= age]


def cascades_of(part: Sequence[Case]) -> list[Cascade]:
    """The cascades of some cases, each once, in their order."""
    return list({case.graph.id: case.graph for case in part}.values())


def enough(found: int, of: int, age: float, least: int, needed: int) -> None:
    """Raises `DatasetError` when fewer cascades than ``needed`` have ``least`` events at ``age``."""
    if found < needed:
        raise DatasetError(
            f"{found} of {of} cascades have {least} events or more before {format_duration(age)}, {needed} are needed; "
            "give a larger file, a later --observe or a smaller --min-events"
        )
