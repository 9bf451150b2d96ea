"""Takes away what a demo left on a cluster that is not its own."""

from __future__ import annotations

from typing import Final

from streams.kafka.clients import KafkaUnreachableError, connect

_REQUEST_SECONDS: Final = 10.0


def remove_topics(bootstrap_servers: str, name: str) -> None:
    """Delete every topic of the run ``name``: its own, and the changelogs of its workers; and their group."""
    from confluent_kafka import KafkaException

    try:
        admin, metadata = connect(bootstrap_servers)
    except KafkaUnreachableError:  # said already, or nothing can be done about it any more
        return
    ours = [topic for topic in metadata.topics if topic.startswith((f"{name}.", f"{name}-"))]
    answers = [*admin.delete_topics(ours, request_timeout=_REQUEST_SECONDS).values()] if ours else []
    answers += admin.delete_consumer_groups([name], request_timeout=_REQUEST_SECONDS).values()
    for answer in answers:
        try:
            answer.result()
        except KafkaException:  # gone already, or never made
            continue
