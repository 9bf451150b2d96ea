"""The one place where our Kafka clients (confluent-kafka: admin, replay, demo) get their settings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from graph.errors import UserError

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient, ClusterMetadata

BOOTSTRAP_ENV: Final = "CASCADECAST_BOOTSTRAP_SERVERS"

FALLBACK_BOOTSTRAP_SERVERS: Final = "127.0.0.1:9092"
"""Where a Kafka on this machine listens by default."""

CONNECT_SECONDS: Final = 8.0
"""How long a command waits for the first answer of a broker before it says that there is none."""


class KafkaUnreachableError(UserError):
    """No Kafka answers at the address."""

    def __init__(self, bootstrap_servers: str, detail: str) -> None:
        super().__init__(
            f"no Kafka broker answers at {bootstrap_servers} ({detail}): start one with "
            f"`cascadecast broker start`, or name yours with --bootstrap-servers or {BOOTSTRAP_ENV}"
        )


def default_bootstrap_servers() -> str:
    """The cluster to talk to when none is named: the environment's, else this machine's."""
    return os.environ.get(BOOTSTRAP_ENV) or FALLBACK_BOOTSTRAP_SERVERS


def kafka_client_config(bootstrap_servers: str, **security: str) -> dict[str, Any]:
    """Settings common to all our librdkafka clients.

    ``security`` are librdkafka's own names with underscores for dots, for example
    ``security_protocol="SASL_SSL", sasl_mechanisms="SCRAM-SHA-512", sasl_username=..., sasl_password=...``.
    """
    return {
        "bootstrap.servers": bootstrap_servers,
        "client.id": "cascadecast",
        # librdkafka prints each failed connection to standard error; we say once what is wrong, in our own
        # words.
        "log_level": 2,
        # A broker on this machine is back within seconds after a restart: do not wait 10 s for the next try.
        "reconnect.backoff.max.ms": 2_000,
        **{name.replace("_", "."): value for name, value in security.items()},
    }


def connect(bootstrap_servers: str, timeout_seconds: float = CONNECT_SECONDS) -> tuple[AdminClient, ClusterMetadata]:
    """An admin client that has heard from the cluster, and what it heard.

    Raises `KafkaUnreachableError` naming the address when nothing answers in time.
    """
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import AdminClient

    heard: list[str] = []

    def note(error: KafkaError) -> None:
        heard.append(error.str())

    try:
        admin = AdminClient({**kafka_client_config(bootstrap_servers), "error_cb": note})
    except KafkaException as error:
        raise KafkaUnreachableError(bootstrap_servers, error.args[0].str()) from error
    try:
        return admin, admin.list_topics(timeout=timeout_seconds)
    except KafkaException as error:
        admin.poll(0.1)  # hands over what librdkafka met: refused, unknown host, no answer
        raise KafkaUnreachableError(bootstrap_servers, (heard or [error.args[0].str()])[0].strip()) from error
