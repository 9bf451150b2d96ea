"""Cascades of a data file, with the growth that their root lines tell where the events end before the horizon.

Some public sets hold only the first hour of each cascade and say on its root line how many reshares followed:
``growth_24h`` is the number of reshares at ages from 1 h to 24 h. Such a label stays with its cascade, so whoever cuts
cases finds it, and nobody takes the end of the events for the end of the growth.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from graph import Cascade, Kind
from graph.event_files import EventFileError, Progress, read_events_with_lines

LABEL_KEY: Final = b'"growth_24h"'
OBSERVED_SECONDS: Final = 3600.0
HORIZON_SECONDS: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class GrowthLabel:
    """``growth`` reshares at ages from ``observed_seconds``, where the events end, to ``horizon_seconds``."""

    observed_seconds: float
    horizon_seconds: float
    growth: int


class LabelledCascade(Cascade):
    """A cascade of a data file, whose events may end before its growth does.

    ``label`` is None where the events tell everything; ``population`` says which posts it is one of: those of its file.
    """

    __slots__ = ("label", "population")

    def __init__(self, id: str, population: str = "") -> None:
        super().__init__(id)
        self.label: GrowthLabel | None = None
        self.population = population


def label_of(cascade: Cascade) -> GrowthLabel | None:
    """What is known of the growth after the last event, None for a whole cascade."""
    return cascade.label if isinstance(cascade, LabelledCascade) else None


def observed_until(cascade: Cascade) -> float:
    """The age in seconds up to which the events of the cascade are complete; infinity for a whole one."""
    label = label_of(cascade)
    return math.inf if label is None else label.observed_seconds


def population_of(cascade: Cascade) -> str:
    """The posts that a cascade is one of: the name of its data file without endings, "" where there is none."""
    return cascade.population if isinstance(cascade, LabelledCascade) else ""


class _RootLine(msgspec.Struct):
    growth_24h: int | None = None


def read_labelled_cascades(path: str | os.PathLike[str], *, progress: Progress | None = None) -> list[Cascade]:
    """All cascades of an event file, as `graph.read_cascades`, with the labels of its root lines.

    Raises:
        EventFileError: see `graph.read_events`; or a label is no whole number from 0.
    """
    cascades: dict[str, LabelledCascade] = {}
    decoder = msgspec.json.Decoder(_RootLine)
    population = Path(path).name.partition(".")[0]
    for number, line, event in read_events_with_lines(path, progress=progress):
        cascade = cascades.get(event.cascade)
        if cascade is None:
            cascade = cascades[event.cascade] = LabelledCascade(event.cascade, population)
        cascade.apply(event)
        # Looking for the key first spares decoding a line twice.
        if event.kind is Kind.POST and LABEL_KEY in line:
            try:
                growth = decoder.decode(line).growth_24h
            except msgspec.ValidationError:
                growth = -1
            if growth is None:
                continue
            if growth < 0:
                raise EventFileError(f"{path}:{number}: growth_24h must be a whole number from 0; mend this line")
            cascade.label = GrowthLabel(OBSERVED_SECONDS, HORIZON_SECONDS, growth)
    return list(cascades.values())
