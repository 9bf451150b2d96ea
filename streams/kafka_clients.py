"""The one place where our Kafka clients (confluent-kafka: admin, replay, demo) get their settings."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final

from graph.errors import UserError
from streams.kafka_security import PLAINTEXT, KafkaSecurity

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient, ClusterMetadata

BOOTSTRAP_ENV: Final = "CASCADECAST_BOOTSTRAP_SERVERS"

FALLBACK_BOOTSTRAP_SERVERS: Final = "127.0.0.1:9092"
"""Where a Kafka on this machine listens by default."""

CONNECT_SECONDS: Final = 8.0
"""How long a command waits for the first answer of a broker before it says that there is none."""

REFUSED_SECONDS: Final = 3.0
"""How long when all servers refuse the connection or cannot be found: a broker that just starts is up by then."""


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


def kafka_client_config(bootstrap_servers: str, security: KafkaSecurity = PLAINTEXT) -> dict[str, Any]:
    """Settings common to all our librdkafka clients."""
    return {
        "bootstrap.servers": bootstrap_servers,
        "client.id": "cascadecast",
        # librdkafka prints each failed connection to standard error; we say once what is wrong, in our own
        # words.
        "log_level": 2,
        # A broker on this machine is back within seconds after a restart: do not wait 10 s for the next try.
        "reconnect.backoff.max.ms": 2_000,
        **security.librdkafka(),
    }


def connect(bootstrap_servers: str) -> tuple[AdminClient, ClusterMetadata]:
    """An admin client that has heard from the cluster, and what it heard.

    Raises `KafkaUnreachableError` naming the address when nothing answers within `CONNECT_SECONDS`, or
    `REFUSED_SECONDS` when every server turns us away.
    """
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import AdminClient

    heard: list[KafkaError] = []
    try:
        admin = AdminClient({**kafka_client_config(bootstrap_servers), "error_cb": heard.append})
    except KafkaException as error:
        raise KafkaUnreachableError(bootstrap_servers, error.args[0].str()) from error
    began = time.monotonic()
    while True:
        try:
            return admin, admin.list_topics(timeout=min(1.0, CONNECT_SECONDS))
        except KafkaException as error:
            admin.poll(0.0)  # hands over what librdkafka met: refused, unknown host, no answer
            all_down = any(one.code() == KafkaError._ALL_BROKERS_DOWN for one in heard)
            if time.monotonic() - began >= (REFUSED_SECONDS if all_down else CONNECT_SECONDS):
                detail = (heard or [error.args[0]])[0].str().strip()
                raise KafkaUnreachableError(bootstrap_servers, detail) from error
