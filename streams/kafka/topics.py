"""The topics as declared: how many partitions, how long records stay, and why; creating and amending them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from graph.errors import UserError
from graph.events import MAX_RECORD_BYTES
from streams.kafka.clients import connect
from streams.kafka.security import KafkaSecurity

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

DEFAULT_PREFIX: Final = "social"

DEFAULT_PARTITIONS: Final = 8
"""Enough for eight workers. They can never be changed later: they decide where a cascade's state lies."""

DURABLE_REPLICATION: Final = 3
"""With three copies a broker can be lost while another is being serviced."""

LARGEST_RECORD: Final = "max.message.bytes"

EVENT_BYTES: Final = MAX_RECORD_BYTES + 4096
"""An event as large as is accepted, with its key, its headers and what Kafka adds to a batch."""

RECORD_BYTES: Final = 64 * 1024
"""A forecast or score with ids of the greatest length has some kilobytes."""

DEAD_LETTER_BYTES: Final = 2 * 1024 * 1024
"""The largest record that Kafka takes by default, whatever it is, and headers that say what it is."""

SEGMENT_BYTES: Final = 1_000_000
"""Of the workers' changelog: what a cluster takes by default, and more than a segment of state ever has."""

CHANGELOG_SUFFIX: Final = "-changelog"

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
    floors: dict[str, int] = field(default_factory=dict)  # settings that may be larger, but not smaller

    def copies(self, brokers: int) -> int:
        """How many copies of each partition a cluster of so many brokers shall hold."""
        return self.replication or min(DURABLE_REPLICATION, brokers)

    def settings(self, brokers: int) -> dict[str, str]:
        """The topic's configuration: of three copies two must have a write, so losing one loses nothing."""
        return {**self.configs, "min.insync.replicas": "2" if self.copies(brokers) >= 3 else "1"}


@dataclass(frozen=True, slots=True)
class Amendment:
    """A setting of a topic that is not as declared. ``found`` is None where the cluster does not know the setting."""

    topic: str
    what: str
    found: str | None
    wanted: str


@dataclass(frozen=True, slots=True)
class TopicReport:
    """What `create_topics` did: names that are new, that existed, and settings it amended."""

    created: list[str] = field(default_factory=list)
    existing: list[str] = field(default_factory=list)
    amended: list[Amendment] = field(default_factory=list)


def declared_topics(
    partitions: int = DEFAULT_PARTITIONS, replication: int | None = None, prefix: str = DEFAULT_PREFIX
) -> list[TopicSpec]:
    """The topics of one installation. Raises `TopicsError` for impossible counts or names."""
    if partitions < 1 or (replication is not None and replication < 1):
        raise TopicsError(f"partitions ({partitions}) and replication ({replication}) must be at least 1")
    if re.fullmatch(r"[a-zA-Z0-9._-]{1,200}", prefix) is None:
        raise TopicsError(f"topic prefix {prefix!r} may hold only letters, digits, '.', '-' and '_'")

    def spec(name: str, days: int, reason: str, largest: int = RECORD_BYTES, **more: str) -> TopicSpec:
        configs = {"cleanup.policy": "delete", "retention.ms": str(days * _DAY_MS)}
        configs |= {key.replace("_", "."): value for key, value in more.items()}
        return TopicSpec(f"{prefix}.{name}", partitions, configs, reason, replication, {LARGEST_RECORD: largest})

    return [
        spec(
            "events",
            7,
            "a week covers any outage and lets a new model be tried on real input; "
            "record times are the broker's, else an archive with times of 2012 would be expired at once",
            largest=EVENT_BYTES,
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
            largest=DEAD_LETTER_BYTES,
            max_message_bytes=str(DEAD_LETTER_BYTES),
        ),
    ]


def create_topics(
    bootstrap_servers: str,
    specs: Sequence[TopicSpec],
    *,
    amend: bool = False,
    app_id: str | None = None,
    security: KafkaSecurity | None = None,
) -> TopicReport:
    """Create what is missing; with ``amend`` also set existing topics' settings (never partitions), and with the
    workers' ``app_id`` those of their changelogs.

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
        if app_id is not None:
            existing += changelog_specs(metadata.topics, app_id, specs[0])
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


def partition_count(bootstrap_servers: str, topic: str) -> int:
    """How many partitions a topic of events has. Raises `KafkaUnreachableError`, or `TopicsError` if it is missing."""
    _, metadata = connect(bootstrap_servers)
    found = metadata.topics.get(topic)
    if found is None:
        mend = create_command(topic.removesuffix(".events"))
        raise TopicsError(f"topic {topic} does not exist at {bootstrap_servers}: {mend}")
    return len(found.partitions)


def create_command(prefix: str) -> str:
    """What creates the topics of an installation, to be told where they are missing."""
    return "cascadecast topics create" + ("" if prefix == DEFAULT_PREFIX else f" --topic-prefix {prefix}")


def source_layout(bootstrap_servers: str, prefix: str, security: KafkaSecurity | None = None) -> tuple[int, int]:
    """Partitions and copies of the events topic, which the workers' own topics must match.

    Raises `KafkaUnreachableError`, or `TopicsError` naming the topics that are missing.
    """
    _, metadata = connect(bootstrap_servers, security)
    missing = [spec.name for spec in declared_topics(prefix=prefix) if spec.name not in metadata.topics]
    if missing:
        raise TopicsError(f"{bootstrap_servers} lacks {', '.join(missing)}: {create_command(prefix)}")
    partitions = metadata.topics[f"{prefix}.events"].partitions
    return len(partitions), min(len(partition.replicas) for partition in partitions.values())


def changelog_specs(topics: Iterable[str], app_id: str, source: TopicSpec) -> list[TopicSpec]:
    """The changelogs of ``app_id`` among ``topics``: as the workers need them, which make them themselves."""
    return [
        TopicSpec(
            name,
            source.partitions,
            {"cleanup.policy": "compact"},
            "the state of the workers, partitioned as the events are",
            source.replication,
            {LARGEST_RECORD: SEGMENT_BYTES},
        )
        for name in sorted(topics)
        if name.startswith(f"{app_id}-") and name.endswith(CHANGELOG_SUFFIX)
    ]


def differing_settings(admin: AdminClient, specs: Sequence[TopicSpec], brokers: int) -> list[Amendment]:
    """Which settings of existing topics are not as declared. Raises `TopicsError` when they cannot be read."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import ConfigResource, ResourceType

    by_name = {spec.name: spec for spec in specs}
    if not by_name:
        return []
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in by_name]
    differing = []
    for resource, answer in admin.describe_configs(resources, request_timeout=_REQUEST_SECONDS).items():
        try:
            found = {name: entry.value for name, entry in answer.result().items()}
        except KafkaException as error:
            said = error.args[0].str()
            raise TopicsError(f"cannot read the settings of {resource.name}: {said}") from error
        spec = by_name[resource.name]
        wanted = {
            name: value for name, value in spec.settings(brokers).items() if not _serves(name, found.get(name), value)
        }
        wanted |= {
            name: str(least)
            for name, least in spec.floors.items()
            if name not in wanted and int(found.get(name) or least) < least
        }
        differing += [Amendment(spec.name, name, found.get(name), value) for name, value in wanted.items()]
    return differing


def _serves(name: str, found: str | None, wanted: str) -> bool:
    """Whether a setting is as declared, or differs in a way that loses nothing."""
    if name == "cleanup.policy" and wanted == "compact":
        return found is not None and "compact" in found  # "compact,delete" loses only what its own retention says
    if name in (LARGEST_RECORD, "min.insync.replicas"):
        return found is not None and int(found) >= int(wanted)
    return found == wanted


def _amend(admin: AdminClient, specs: Sequence[TopicSpec], brokers: int) -> list[Amendment]:
    """Set what differs to what is declared, leaving all other settings alone."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

    differing = differing_settings(admin, specs, brokers)
    resources: dict[str, ConfigResource] = {}
    for one in differing:
        entry = ConfigEntry(one.what, one.wanted, incremental_operation=AlterConfigOpType.SET)
        resource = resources.setdefault(one.topic, ConfigResource(ResourceType.TOPIC, one.topic))
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
    while (
        differing_settings(admin, specs, brokers) and time.monotonic() < deadline
    ):  # brokers hear of it a little later
        time.sleep(0.05)
    return differing
