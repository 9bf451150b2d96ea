"""What is logged, and how often."""

from __future__ import annotations

import logging

from streams.logs import Repetition


def record(name: str, message: str, at: float, *arguments: object) -> logging.LogRecord:
    made = logging.LogRecord(name, logging.ERROR, __file__, 1, message, arguments, None)
    made.created = at
    return made


def test_a_client_without_its_kafka_complains_once_in_a_while() -> None:
    repetition = Repetition(seconds=10.0)
    logged = [at for at in range(100) if repetition.filter(record("aiokafka", "no connection to %s", at / 4, at))]
    assert logged == [0, 40, 80]


def test_another_complaint_and_what_we_say_ourselves_are_always_logged() -> None:
    repetition = Repetition()
    assert repetition.filter(record("aiokafka", "one", 0.0))
    assert repetition.filter(record("aiokafka", "another", 0.1))
    assert repetition.filter(record("aiokafka.consumer", "one", 0.2))
    assert all(repetition.filter(record("cascadecast.worker", "read again", at / 10)) for at in range(10))
