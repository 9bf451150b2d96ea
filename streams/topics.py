"""The topics as declared: how many partitions, how long records stay, and why; creating and checking them."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from graph.errors import UserError
from streams.kafka_clients import KafkaUnreachableError, connect
from streams.kafka_security import KafkaSecurity

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

WATERMARK_HEADER: Final = "cascadecast-watermark"
"""On an empty record of the events topic: no event of that partition before this event time will follow."""

DEFAULT_PREFIX: Final = "social"

DEFAULT_PARTITIONS: Final = 8
"""Enough for eight workers. They can never be changed later: they decide where a cascade's state lies."""

DURABLE_REPLICATION: Final = 3
"""With three copies a broker can be lost while another is being serviced."""

_DAY_MS: Final = 86_400_000
_REQUEST_SECONDS: Final = 20.0


class TopicsError(UserError):
    """The cluster refused to create, alter or describe a topic."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One declared topic. ``replication`` None means: three copies, or as many as there are brokers."""

    name: str
    partitions: int
    configs: dict[str, str]
    reason: str  # why it is kept so
    replication: int | None = None

    def copies(self, brokers: int) -> int:
        """How many copies of each partition a cluster of so many brokers shall hold."""
        return self.replication or min(DURABLE_REPLICATION, brokers)

    def settings(self, brokers: int) -> dict[str, str]:
        """The topic's configuration: of three copies two must have a write, so losing one loses nothing."""
        return {**self.configs, "min.insync.replicas": "2" if self.copies(brokers) >= 3 else "1"}


@dataclass(frozen=True, slots=True)
class TopicDefect:
    """One way in which the cluster differs from the declaration, and how to mend it."""

    topic: str
    what: str
    found: str
    wanted: str
    mend: str


@dataclass(frozen=True, slots=True)
class TopicReport:
    """What `create_topics` did: names that are new, that existed, and settings it amended."""

    created: list[str] = field(default_factory=list)
    existing: list[str] = field(default_factory=list)
    amended: list[TopicDefect] = field(default_factory=list)


def declared_topics(
    partitions: int = DEFAULT_PARTITIONS, replication: int | None = None, prefix: str = DEFAULT_PREFIX
) -> list[TopicSpec]:
    """The topics of one installation. Raises `TopicsError` for impossible counts or names."""
    if partitions < 1 or (replication is not None and replication < 1):
        raise TopicsError(f"partitions ({partitions}) and replication ({replication}) must be at least 1")
    if re.fullmatch(r"[a-zA-Z0-9._-]{1,200}", prefix) is None:
        raise TopicsError(f"topic prefix {prefix!r} may hold only letters, digits, '.', '-' and '_'")

    def spec(name: str, days: int, reason: str, **more: str) -> TopicSpec:
        configs = {"cleanup.policy": "delete", "retention.ms": str(days * _DAY_MS)}
        configs |= {key.replace("_", "."): value for key, value in more.items()}
        return TopicSpec(f"{prefix}.{name}", partitions, configs, reason, replication)

    return [
        spec(
            "events",
            7,
            "a week covers any outage and lets a new model be tried on real input; "
            "record times are the broker's, else an archive with times of 2012 would be expired at once",
            message_timestamp_type="LogAppendTime",
        ),
        spec("forecasts", 7, "a forecast is of use until its horizon; a week lets consumers catch up"),
        spec("forecasts.challenger", 7, "compared with the champion's forecasts, which stay as long"),
        spec("alerts", 30, "what was raised, and why, is asked about for weeks"),
        spec("scores", 90, "drift shows over months, and a score is small"),
        spec(
            "dead-letters",
            30,
            "time to mend a producer and replay; an original at the size limit must fit with its headers",
            max_message_bytes=str(2 * 1024 * 1024),
        ),
    ]


def create_topics(
    bootstrap_servers: str, specs: Sequence[TopicSpec], *, amend: bool = False, security: KafkaSecurity | None = None
) -> TopicReport:
    """Create what is missing; with ``amend`` also set existing topics' settings (never partitions).

    ``security`` None: as configured.

    Raises `KafkaUnreachableError`, or `TopicsError` naming the topic the cluster refused.
    """
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import NewTopic

    admin, metadata = connect(bootstrap_servers, security)
    brokers = len(metadata.brokers)
    report = TopicReport(existing=[spec.name for spec in specs if spec.name in metadata.topics])
    new = [
        NewTopic(spec.name, spec.partitions, spec.copies(brokers), config=spec.settings(brokers))
        for spec in specs
        if spec.name not in metadata.topics
    ]
    for name, answer in (admin.create_topics(new, request_timeout=_REQUEST_SECONDS) if new else {}).items():
        try:
            answer.result()
            report.created.append(name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # another creator was faster
                said = error.args[0].str()
                raise TopicsError(f"{bootstrap_servers} refused topic {name}: {said}") from error
            report.existing.append(name)
    _wait_until_known(admin, specs)
    if amend:
        existing = [spec for spec in specs if spec.name in report.existing]
        report.amended.extend(_amend(admin, existing, brokers))
    return report


def _wait_until_known(admin: AdminClient, specs: Sequence[TopicSpec]) -> None:
    """Until the brokers know every topic and its leaders: the controller answers before they do."""
    deadline = time.monotonic() + _REQUEST_SECONDS
    while time.monotonic() < deadline:
        topics = admin.list_topics(timeout=_REQUEST_SECONDS).topics
        found = [topics[spec.name].partitions.values() for spec in specs if spec.name in topics]
        if len(found) == len(specs) and all(one.leader >= 0 for part in found for one in part):
            return
        time.sleep(0.05)
    raise TopicsError(f"the new topics have no leaders after {_REQUEST_SECONDS:.0f} s: look at the brokers' logs")


def check_topics(bootstrap_servers: str, specs: Sequence[TopicSpec], *, app_id: str | None = None) -> list[TopicDefect]:
    """Everything in which the cluster differs from the declaration; empty when all is well.

    With the worker's ``app_id`` also its changelogs, which must have as many partitions as the events topic
    has and be compacted. Raises `KafkaUnreachableError`.
    """
    admin, metadata = connect(bootstrap_servers)
    brokers = len(metadata.brokers)
    defects: list[TopicDefect] = []
    for spec in specs:
        if spec.name not in metadata.topics:
            mend = "cascadecast topics create"
            defects.append(TopicDefect(spec.name, "topic", "missing", f"{spec.partitions} partitions", mend))
            continue
        defects.extend(_layout_defects(spec, metadata.topics[spec.name], brokers))
    present = [spec for spec in specs if spec.name in metadata.topics]
    defects.extend(_setting_defects(admin, {spec.name: spec.settings(brokers) for spec in present}))
    if app_id is not None:
        defects.extend(_changelog_defects(admin, metadata.topics, app_id, specs[0]))
    return defects


def partition_count(bootstrap_servers: str, topic: str) -> int:
    """How many partitions a topic has. Raises `KafkaUnreachableError`, or `TopicsError` if it is missing."""
    _, metadata = connect(bootstrap_servers)
    found = metadata.topics.get(topic)
    if found is None:
        raise TopicsError(f"topic {topic} does not exist at {bootstrap_servers}: cascadecast topics create")
    return len(found.partitions)


def source_layout(bootstrap_servers: str, prefix: str, security: KafkaSecurity | None = None) -> tuple[int, int]:
    """Partitions and copies of the events topic, which the workers' own topics must match.

    Raises `KafkaUnreachableError`, or `TopicsError` naming the topics that are missing.
    """
    _, metadata = connect(bootstrap_servers, security)
    missing = [spec.name for spec in declared_topics(prefix=prefix) if spec.name not in metadata.topics]
    if missing:
        raise TopicsError(f"{bootstrap_servers} lacks {', '.join(missing)}: cascadecast topics create")
    partitions = metadata.topics[f"{prefix}.events"].partitions
    return len(partitions), min(len(partition.replicas) for partition in partitions.values())


def _layout_defects(spec: TopicSpec, found: Any, brokers: int) -> list[TopicDefect]:
    defects = []
    if len(found.partitions) != spec.partitions:
        mend = (
            f"give --partitions {len(found.partitions)} if that is meant, "
            "else delete the topic and create it anew (adding partitions would tear cascades apart)"
        )
        defects.append(TopicDefect(spec.name, "partitions", str(len(found.partitions)), str(spec.partitions), mend))
    copies = sorted({len(partition.replicas) for partition in found.partitions.values()})
    wanted = spec.copies(brokers)
    if copies != [wanted]:
        mend = f"kafka-reassign-partitions.sh to {wanted} copies, or give --replication {copies[0]}"
        said = ", ".join(str(count) for count in copies)
        defects.append(TopicDefect(spec.name, "replication", said, str(wanted), mend))
    return defects


def _changelog_defects(admin: AdminClient, topics: dict[str, Any], app_id: str, source: TopicSpec) -> list[TopicDefect]:
    """A table's changelog is partitioned as its source is, or the worker refuses to start."""
    partitions = len(topics[source.name].partitions) if source.name in topics else source.partitions
    changelogs = [name for name in topics if name.startswith(f"{app_id}-") and name.endswith("-changelog")]
    defects = [
        TopicDefect(
            name,
            "partitions",
            str(len(topics[name].partitions)),
            f"{partitions} (as {source.name})",
            "stop the workers and delete it: they make it anew and rebuild their state from the events",
        )
        for name in sorted(changelogs)
        if len(topics[name].partitions) != partitions
    ]
    compacted = {name: {"cleanup.policy": "compact"} for name in sorted(changelogs)}
    for defect in _setting_defects(admin, compacted):
        if "compact" not in defect.found:  # "compact,delete" loses only what a retention of its own says
            mend = f"kafka-configs.sh --alter --topic {defect.topic} --add-config cleanup.policy=compact"
            defects.append(TopicDefect(defect.topic, defect.what, defect.found, defect.wanted, mend))
    return defects


def _setting_defects(admin: AdminClient, wanted: dict[str, dict[str, str]]) -> list[TopicDefect]:
    """Which settings of these topics differ."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import ConfigResource, ResourceType

    if not wanted:
        return []
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in wanted]
    defects = []
    for resource, answer in admin.describe_configs(resources, request_timeout=_REQUEST_SECONDS).items():
        try:
            found = answer.result()
        except KafkaException as error:
            said = error.args[0].str()
            raise TopicsError(f"cannot read the settings of {resource.name}: {said}") from error
        for key, value in wanted[resource.name].items():
            actual = str(found[key].value)
            if actual != value:
                mend = "cascadecast topics create --amend"
                defects.append(TopicDefect(resource.name, key, actual, value, mend))
    return defects


def _amend(admin: AdminClient, specs: Sequence[TopicSpec], brokers: int) -> list[TopicDefect]:
    """Set what differs to what is declared, leaving all other settings alone."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

    wanted = {spec.name: spec.settings(brokers) for spec in specs}
    defects = _setting_defects(admin, wanted)
    resources: dict[str, ConfigResource] = {}
    for defect in defects:
        entry = ConfigEntry(defect.what, defect.wanted, incremental_operation=AlterConfigOpType.SET)
        resource = resources.setdefault(defect.topic, ConfigResource(ResourceType.TOPIC, defect.topic))
        resource.add_incremental_config(entry)
    if not resources:
        return []
    answers = admin.incremental_alter_configs(list(resources.values()), request_timeout=_REQUEST_SECONDS)
    for resource, answer in answers.items():
        try:
            answer.result()
        except KafkaException as error:
            raise TopicsError(f"cannot amend {resource.name}: {error.args[0].str()}") from error
    deadline = time.monotonic() + _REQUEST_SECONDS
    while _setting_defects(admin, wanted) and time.monotonic() < deadline:  # brokers hear of it a little later
        time.sleep(0.05)
    return defects


__all__ = [
    "DEFAULT_PARTITIONS",
    "DEFAULT_PREFIX",
    "WATERMARK_HEADER",
    "KafkaUnreachableError",
    "TopicDefect",
    "TopicReport",
    "TopicSpec",
    "TopicsError",
    "check_topics",
    "create_topics",
    "declared_topics",
    "partition_count",
    "source_layout",
]
