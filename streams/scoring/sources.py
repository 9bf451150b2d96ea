"""Where a recorded stream is read from, to verify its scores: files of a run, or the topics of an installation."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from graph import Event, Rejected, Watermark, decode_event
from graph.errors import UserError
from graph.event_files import read_lines
from streams.engine.forecast_file import DRAIN_SECONDS
from streams.kafka.control_records import read_control
from streams.kafka.partitioner import partition_of
from streams.scoring.scores import ScoreRecord
from streams.scoring.verification import PublishedForecast, RecordedPartition
from streams.settings import Settings
from streams.state.changelog import ChangelogReader, changelog_reader

R = TypeVar("R", bound=msgspec.Struct)

FORECAST_TOPICS: Final = ("forecasts", "forecasts.challenger")

Told = Callable[[int], None]
"""Hears of records read."""


def recorded_in_files(
    events: Iterable[Event], forecasts: Path, scores: Path, settings: Settings
) -> Iterator[RecordedPartition]:
    """A run of ``cascadecast forecast``: its events in order of time, and what it wrote. Raises UserError."""
    count = settings.partitions
    parts: list[list[Event | float]] = [[] for _ in range(count)]
    clock = Watermark(settings.allowed_lateness_seconds, settings.max_jump_seconds)
    for event in events:
        parts[partition_of(event.cascade, count)].append(event)
        clock.observe(event.time, event.cascade)
    end = clock.end_of_input() + max(DRAIN_SECONDS, settings.forecast_delay_seconds)
    said: list[list[PublishedForecast]] = [[] for _ in range(count)]
    for forecast in _lines(forecasts, PublishedForecast):
        said[partition_of(forecast.cascade, count)].append(forecast)
    scored: list[list[ScoreRecord]] = [[] for _ in range(count)]
    for score in _lines(scores, ScoreRecord):
        scored[partition_of(score.cascade, count)].append(score)
    for number in range(count):
        yield RecordedPartition(
            number, [*parts[number], end], said[number], scored[number], is_over=True, begins_late=False
        )


def _lines(path: Path, kind: type[R]) -> Iterator[R]:
    decode = msgspec.json.Decoder(kind).decode
    for number, line in read_lines(os.fspath(path)):
        try:
            yield decode(line)
        except msgspec.DecodeError as error:
            raise UserError(
                f"{path}:{number}: not a {_NAMES[kind]} of this version ({error}); write it with 'cascadecast forecast'"
            ) from None


_NAMES: Final[dict[type[msgspec.Struct], str]] = {PublishedForecast: "forecast", ScoreRecord: "score"}


def recorded_in_kafka(settings: Settings, told: Told = lambda records: None) -> Iterator[RecordedPartition]:
    """What the topics of an installation hold now, partition by partition. Raises UserError."""
    with changelog_reader(settings) as reader:
        for number in reader.partitions():
            yield _partition(reader, number, settings, told)


def _partition(reader: ChangelogReader, number: int, settings: Settings, told: Told) -> RecordedPartition:
    prefix = settings.topic_prefix
    # Scores first, events last: what is said of a post must not be newer than what is known of it.
    scores = list(_records(reader, f"{prefix}.scores", number, ScoreRecord, told))
    forecasts = [
        forecast
        for name in FORECAST_TOPICS
        for forecast in _records(reader, f"{prefix}.{name}", number, PublishedForecast, told)
    ]
    events = list(_events(reader, f"{prefix}.events", number, told))
    gone = any(reader.offsets(f"{prefix}.{name}", number)[0] > 0 for name in ("events", *FORECAST_TOPICS))
    return RecordedPartition(number, events, forecasts, scores, is_over=False, begins_late=gone)


def _records(reader: ChangelogReader, topic: str, number: int, kind: type[R], told: Told) -> Iterator[R]:
    decode = msgspec.json.Decoder(kind).decode
    for message in reader.records(topic, number):
        told(1)
        try:
            yield decode(message.value() or b"")
        except msgspec.DecodeError as error:
            raise UserError(
                f"{topic} partition {number} offset {message.offset()}: not a {_NAMES[kind]} of this version ({error})"
            ) from None


def _events(reader: ChangelogReader, topic: str, number: int, told: Told) -> Iterator[Event | float]:
    """The events that count where they stand: not those under a wrong key, which come again under their own."""
    for message in reader.records(topic, number):
        told(1)
        value = message.value() or b""
        mark = read_control(message.headers()).watermark
        if mark is not None and not value:
            yield mark
            continue
        event = decode_event(value)
        if not isinstance(event, Rejected) and message.key() == event.cascade.encode():
            yield event
