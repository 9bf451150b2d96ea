"""Hold a cluster's topics against the declaration: every difference is a finding with the command that mends it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streams.kafka.clients import connect
from streams.kafka.placement import placement_of_newest
from streams.kafka.topics import (
    CHANGELOG_SUFFIX,
    DEFAULT_PREFIX,
    Amendment,
    TopicSpec,
    changelog_specs,
    differing_settings,
)

NOT_SET = "not set"


@dataclass(frozen=True, slots=True)
class TopicDefect:
    """One way in which the cluster differs from the declaration, and how to mend it."""

    topic: str
    what: str
    found: str
    wanted: str
    mend: str


def check_topics(bootstrap_servers: str, specs: Sequence[TopicSpec], *, app_id: str | None = None) -> list[TopicDefect]:
    """Everything in which the cluster differs from the declaration; empty when all is well.

    Of the events also whether the newest lie on the partitions of their keys. With the worker's ``app_id`` also its
    changelogs, which must be compacted, have as many partitions as the events topic has, and be kept as safely. Raises
    `KafkaUnreachableError`, and `TopicsError` when settings cannot be read.
    """
    admin, metadata = connect(bootstrap_servers)
    check = _Check(bootstrap_servers, specs, app_id, sorted(metadata.brokers))
    present = [spec for spec in specs if spec.name in metadata.topics]
    found = [check.missing(spec) for spec in specs if spec.name not in metadata.topics]
    if app_id is not None:
        source = metadata.topics.get(specs[0].name)
        logs = changelog_specs(metadata.topics, app_id, specs[0])
        if source is not None:  # a table's changelog is partitioned as its source is, whatever is declared
            present += [TopicSpec(**{**_fields(log), "partitions": len(source.partitions)}) for log in logs]
        else:
            present += logs
    for spec in present:
        found += check.layout(spec, metadata.topics[spec.name])
    found += [check.setting(one) for one in differing_settings(admin, present, len(metadata.brokers))]
    if (events := metadata.topics.get(specs[0].name)) is not None:
        found += check.placement(specs[0], len(events.partitions))
    return found


def _fields(spec: TopicSpec) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in TopicSpec.__slots__}


@dataclass(frozen=True, slots=True)
class _Check:
    """What the commands that mend have to name."""

    bootstrap_servers: str
    specs: Sequence[TopicSpec]
    app_id: str | None
    brokers: Sequence[int]

    def missing(self, spec: TopicSpec) -> TopicDefect:
        return TopicDefect(spec.name, "topic", "missing", f"{spec.partitions} partitions", self._create())

    def setting(self, one: Amendment) -> TopicDefect:
        return TopicDefect(one.topic, one.what, one.found or NOT_SET, one.wanted, f"{self._create()} --amend")

    def layout(self, spec: TopicSpec, found: Any) -> list[TopicDefect]:
        """Partitions and copies."""
        defects = []
        count = len(found.partitions)
        if count != spec.partitions:
            mend = self._repartition(spec, count)
            defects.append(TopicDefect(spec.name, "partitions", str(count), str(spec.partitions), mend))
        replicas = {number: list(partition.replicas) for number, partition in sorted(found.partitions.items())}
        wanted = spec.copies(len(self.brokers))
        if {len(copies) for copies in replicas.values()} != {wanted}:
            said = ", ".join(str(number) for number in sorted({len(copies) for copies in replicas.values()}))
            defects.append(
                TopicDefect(spec.name, "replication", said, str(wanted), self._replicate(spec.name, replicas, wanted))
            )
        return defects

    def placement(self, spec: TopicSpec, count: int) -> list[TopicDefect]:
        """Events on the partitions of their keys."""
        prefix = spec.name.removesuffix(".events")
        newest = placement_of_newest(self.bootstrap_servers, spec.name, count, self.app_id or prefix)
        if not newest.misplaced:
            return []
        mend = (
            "set the producers' partitioner to murmur2_random (librdkafka's and confluent-kafka's default is another); "
            f"what lies there: cascadecast topics repartition --bootstrap-servers {self.bootstrap_servers} "
            f"--topic-prefix {prefix} --to-prefix {prefix}-placed --partitions {count} (deploy/runbook.md)"
        )
        found = f"{newest.misplaced} of the newest {newest.seen} events on others"
        return [TopicDefect(spec.name, "partition of a key", found, "that of murmur2", mend)]

    def _create(self) -> str:
        prefix = self.specs[0].name.removesuffix(".events")
        parts = ["cascadecast topics create", f"--bootstrap-servers {self.bootstrap_servers}"]
        parts += [f"--partitions {self.specs[0].partitions}"]
        parts += [f"--replication {self.specs[0].replication}"] if self.specs[0].replication is not None else []
        parts += [f"--topic-prefix {prefix}"] if prefix != DEFAULT_PREFIX else []
        parts += [f"--app-id {self.app_id}"] if self.app_id is not None else []
        return " ".join(parts)

    def _repartition(self, spec: TopicSpec, count: int) -> str:
        """Only outputs may gain partitions where they are: elsewhere a cascade would be torn apart."""
        server = f"--bootstrap-server {self.bootstrap_servers}"
        if spec.name.endswith(CHANGELOG_SUFFIX):
            return (
                "if the workers have another app_id, name it with --app-id; else stop them, run "
                f"kafka-topics.sh {server} --delete --topic {spec.name}, empty their data directories and start them: "
                "they make it anew and rebuild their state from the events"
            )
        if spec.name == self.specs[0].name:
            prefix = spec.name.removesuffix(".events")
            return (
                f"cascadecast topics repartition --bootstrap-servers {self.bootstrap_servers} --topic-prefix {prefix} "
                f"--to-prefix {prefix}{spec.partitions} --partitions {spec.partitions} (deploy/runbook.md), "
                f"or say --partitions {count} if that is meant"
            )
        if count < spec.partitions:
            return f"kafka-topics.sh {server} --alter --topic {spec.name} --partitions {spec.partitions}"
        return f"kafka-topics.sh {server} --delete --topic {spec.name} && {self._create()}"

    def _replicate(self, topic: str, replicas: Mapping[int, Sequence[int]], copies: int) -> str:
        """The reassignment that keeps what is there and adds or drops copies at the end of each list."""
        if copies > len(self.brokers):
            return f"add brokers: there are {len(self.brokers)}, or say --replication {len(self.brokers)}"
        assigned = []
        for number, present in replicas.items():
            turned = [self.brokers[(number + turn) % len(self.brokers)] for turn in range(len(self.brokers))]
            wanted = [*present, *(broker for broker in turned if broker not in present)][:copies]
            assigned.append({"topic": topic, "partition": number, "replicas": wanted})
        plan = shlex.quote(json.dumps({"version": 1, "partitions": assigned}, separators=(",", ":")))
        return (
            f"echo {plan} > reassign.json && kafka-reassign-partitions.sh --bootstrap-server {self.bootstrap_servers} "
            "--reassignment-json-file reassign.json --execute"
        )
