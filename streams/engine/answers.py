"""What was said of forecasts that are to be kept, on its way from the models to the partition's learner."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from forecasters.base import Forecasts
from streams.engine.due import Due
from streams.records import rounded
from streams.scoring.kept import Kept, Panel, Values


@dataclass(frozen=True, slots=True)
class Answer:
    """What one model said of one due forecast."""

    due: Due
    model: str  # name@version
    values: Values
    published: bool
    experts: tuple[str, ...]  # of a blend, in its order
    vote: str  # the population that the post resembles by itself; empty where the model cannot tell


def answer_of(
    due: Due,
    model: str,
    published_as: Forecasts,
    own: Forecasts,
    row: int,
    *,
    published: bool = True,
    experts: tuple[str, ...] = (),
    vote: str = "",
) -> Answer:
    """Row ``row`` of the forecasts as published and of the model's own.

    Numbers are rounded as the published ones are: what is learned must not hang on the last bits of batched arithmetic.
    """
    numbers = (
        published_as.increment[row], published_as.low[row], published_as.high[row], own.low[row], own.high[row],
    )  # fmt: skip
    return Answer(due, model, Values(*(rounded(float(number)) for number in numbers)), published, experts, vote)


def kept_of(dues: Iterable[Due], answers: Sequence[Answer], horizon_seconds: float) -> list[tuple[Due, Kept]]:
    """For each forecast that is to be kept, all that was said of it; nothing where every model failed."""
    by_due: dict[int, dict[str, Answer]] = {id(due): {} for due in dues if due.keep}
    for answer in answers:
        known = by_due[id(answer.due)].get(answer.model)
        if known is None or answer.published:  # an expert may speak for itself as well
            by_due[id(answer.due)][answer.model] = answer
    found = []
    for due in dues:
        if not due.keep:
            continue
        said = by_due[id(due)]
        place = {model: number for number, model in enumerate(said)}
        panel = Panel(
            tuple(said),
            tuple(answer.published for answer in said.values()),
            tuple(
                (place[model], tuple(place[expert] for expert in answer.experts))
                for model, answer in said.items()
                if answer.experts
            ),
        )
        view = due.view
        matures, age = view.root_time + horizon_seconds, view.age_seconds
        values = [answer.values for answer in said.values()]
        vote = next((answer.vote for answer in said.values() if answer.vote), "")  # of the champion, where it can tell
        source = view.root_source or ""
        kept = Kept.of(
            view.cascade, due.as_of, matures, age, view.size, panel, values, source=source, vote=vote
        )  # fmt: skip
        found.append((due, kept))
    return found


def give_to_learners(dues: Sequence[Due], answers: Sequence[Answer], horizon_seconds: float) -> None:
    """Keep what is to be kept, each in its partition, in the order of the dues."""
    for due, kept in kept_of(dues, answers, horizon_seconds):
        due.partition.learner.keep(kept)
