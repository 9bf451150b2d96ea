"""Hold what is in Kafka against what an undisturbed pass computes: every difference is a finding, in words."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from confluent_kafka import Message

from graph import Rejected, decode_event
from streams.state.export import CascadeState
from streams.state.verification import PartitionVerdict
from tests.integration.chaos.expected import Expected, Records

NUMBERS: Final = frozenset(
    {
        "expected", "low", "high", "growth_per_hour", "importance", "squared_log_error", "log_error",
        "absolute_percentage_error",
    }
)  # fmt: skip
"""Batched arithmetic may differ in the last bits; everything else must be equal."""

TOLERANCE: Final = 1e-4
EXAMPLES: Final = 3


@dataclass(slots=True)
class Findings:
    """What is not as it should be, and how much there was to look at."""

    found: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def note(self, what: str, cases: Sequence[Any]) -> None:
        """Nothing, if there are no cases."""
        if cases:
            self.found.append(f"{len(cases)} {what}, such as {json.dumps(cases[:EXAMPLES], default=str)}")


def compare_records(name: str, messages: Iterable[Message], expected: Records, findings: Findings) -> None:
    """Outputs with ids: all of them, nothing else, and each with one content however often it was published."""
    published = [json.loads(message.value() or b"null") for message in messages]
    ids = {record["id"] for record in published}
    findings.counts[name] = len(ids)
    findings.counts[f"{name} repeated"] = len(published) - len(ids)
    findings.note(f"{name} lost", [expected[i] for i in sorted(set(expected) - ids)])
    findings.note(f"{name} invented", [record for record in published if record["id"] not in expected])
    findings.note(
        f"{name} with another content",
        [
            (difference, record)
            for record in published
            if record["id"] in expected and (difference := _difference(record, expected[record["id"]]))
        ],
    )


def compare_lives(messages: Iterable[Message], findings: Findings) -> None:
    """Every alert is opened once and resolved once, whatever else was said of it."""
    states: dict[str, Counter[str]] = {}
    for record in {
        record["id"]: record for record in (json.loads(one.value() or b"null") for one in messages)
    }.values():
        states.setdefault(record["alert"], Counter())[record["state"]] += 1
    findings.counts["alerts opened"] = len(states)
    findings.note(
        "alerts without one beginning and one end",
        [(alert, dict(seen)) for alert, seen in states.items() if (seen["opened"], seen["resolved"]) != (1, 1)],
    )


def compare_repeats(findings: Findings) -> None:
    """A reader of committed records sees each output once."""
    findings.note(
        "kinds of outputs repeated", [name for name, count in findings.counts.items() if "repeated" in name and count]
    )


def _difference(record: dict[str, Any], wanted: dict[str, Any]) -> str:
    """The first field that differs; empty if none does."""
    if record.keys() != wanted.keys():
        return "fields"
    for name, value in record.items():
        other = wanted[name]
        if name in NUMBERS:
            equal = math.isclose(value, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
        elif name == "trajectory":
            equal = len(value) == len(other) and all(
                age == wanted_age and math.isclose(size, wanted_size, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
                for (age, size), (wanted_age, wanted_size) in zip(value, other, strict=True)
            )
        else:
            equal = value == other
        if not equal:
            return f"{name}: {value!r}, not {other!r}"
    return ""


def compare_state(states: Iterable[CascadeState], expected: Expected, findings: Findings) -> None:
    """Whatever is still live has the totals of a single pass; what has not matured is live."""
    found = {state.cascade: (state.size, state.depth, state.users) for state in states}
    findings.counts["live cascades"] = len(found)
    findings.note("cascades lost", sorted(expected.must_live - set(found)))
    findings.note("cascades invented", sorted(set(found) - set(expected.totals)))
    findings.note(
        "cascades with another (size, depth, users)",
        [
            (name, total, expected.totals[name])
            for name, total in sorted(found.items())
            if name in expected.totals and expected.totals[name] != total
        ],
    )


def compare_with_events(verdicts: Iterable[PartitionVerdict], findings: Findings) -> None:
    """What `cascadecast state verify` says: the state is what the events before its own offset make."""
    told = list(verdicts)
    findings.counts["cascades verified"] = sum(verdict.equal for verdict in told)
    findings.note(
        "cascades unlike their events by state verify",
        [msgspec.to_builtins(difference) for verdict in told for difference in verdict.differences],
    )
    findings.note("cascades evicted by state verify", [one.partition for one in told if one.evicted])


def compare_dead_letters(events: Iterable[Message], letters: Iterable[Message], findings: Findings) -> None:
    """Each record of the events topic that is no event, and no other, lies there with its bytes and its reason."""
    bad: dict[tuple[int, int], tuple[bytes, str]] = {}
    for message in events:
        value = message.value() or b""
        if not value and message.headers():
            continue  # the mark at the end of a stream
        if isinstance(rejected := decode_event(value), Rejected):
            bad[message.partition() or 0, message.offset() or 0] = (value, rejected.reason.value)
    told: dict[tuple[int, int], set[tuple[bytes, str]]] = {}
    published = 0
    for message in letters:
        published += 1
        headers = {name: value.decode() for name, value in message.headers() or []}
        place = int(headers["source-partition"]), int(headers["source-offset"])
        told.setdefault(place, set()).add((message.value() or b"", headers["error-kind"]))
    findings.counts["dead letters"] = len(told)
    findings.counts["dead letters repeated"] = published - len(told)
    findings.note("dead letters lost", sorted(set(bad) - set(told)))
    findings.note("dead letters invented", sorted(set(told) - set(bad)))
    findings.note(
        "dead letters with another content",
        [(place, told[place]) for place in sorted(bad.keys() & told.keys()) if told[place] != {bad[place]}],
    )
