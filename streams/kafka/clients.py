"""The one place where our Kafka clients (confluent-kafka: admin, replay, demo) get their settings."""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from graph.errors import UserError
from streams.kafka.security import KafkaSecurity

if TYPE_CHECKING:
    from confluent_kafka import KafkaError
    from confluent_kafka.admin import AdminClient, ClusterMetadata

BOOTSTRAP_ENV: Final = "CASCADECAST_BOOTSTRAP_SERVERS"
PREFIX_ENV: Final = "CASCADECAST_TOPIC_PREFIX"

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


def configured_security() -> KafkaSecurity:
    """What the settings say of the cluster's demands. Raises UserError for what cannot be meant or read."""
    from streams.settings import load_settings

    return load_settings().kafka_security()


def kafka_client_config(bootstrap_servers: str, security: KafkaSecurity | None = None) -> dict[str, Any]:
    """Settings common to all our librdkafka clients; ``security`` None: as configured."""
    return {
        "bootstrap.servers": bootstrap_servers,
        "client.id": "cascadecast",
        # librdkafka prints each failed connection to standard error; we say once what is wrong, in our own
        # words.
        "log_level": 2,
        # A broker on this machine is back within seconds after a restart: do not wait 10 s for the next try.
        "reconnect.backoff.max.ms": 2_000,
        **(configured_security() if security is None else security).librdkafka(),
    }


class KafkaRefusedError(UserError):
    """A Kafka is there, and does not let us in or is not the one it should be."""


def connect(bootstrap_servers: str, security: KafkaSecurity | None = None) -> tuple[AdminClient, ClusterMetadata]:
    """An admin client that has heard from the cluster, and what it heard; ``security`` None: as configured.

    Raises `KafkaUnreachableError` naming the address when nothing answers within `CONNECT_SECONDS`, or
    `REFUSED_SECONDS` when every server turns us away, `KafkaRefusedError` when a broker does not take our name and
    password or does not prove its own name.
    """
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import AdminClient

    security = configured_security() if security is None else security
    security.ssl_context()  # says which file cannot be used, in better words than the client
    heard: list[KafkaError] = []
    try:
        admin = AdminClient({**kafka_client_config(bootstrap_servers, security), "error_cb": heard.append})
    except KafkaException as error:
        raise KafkaUnreachableError(bootstrap_servers, error.args[0].str()) from error
    began = time.monotonic()
    while True:
        try:
            return admin, admin.list_topics(timeout=min(1.0, CONNECT_SECONDS))
        except KafkaException as error:
            admin.poll(0.0)  # hands over what librdkafka met: refused, unknown host, no answer
            refused = [one for one in heard if _is_refusal(one)]
            if refused:
                raise _refusal(bootstrap_servers, security, refused[0].str()) from None
            all_down = any(one.code() == KafkaError._ALL_BROKERS_DOWN for one in heard)
            if time.monotonic() - began >= (REFUSED_SECONDS if all_down else CONNECT_SECONDS):
                detail = _telling(bootstrap_servers, security, [*heard, error.args[0]])
                raise KafkaUnreachableError(bootstrap_servers, detail) from error


def _is_refusal(error: KafkaError) -> bool:
    """Whether a broker did not take our introduction, or we not its."""
    from confluent_kafka import KafkaError

    alert = "alert" in error.str() and "certificate" in error.str()
    return alert or error.code() in (KafkaError._AUTHENTICATION, KafkaError._SSL)


def _telling(bootstrap_servers: str, security: KafkaSecurity, errors: Sequence[KafkaError]) -> str:
    """The error that says most: that all brokers are down says least."""
    from confluent_kafka import KafkaError

    texts = [str(one.str()).strip() for one in errors if one.code() != KafkaError._ALL_BROKERS_DOWN]
    text = texts[0] if texts else str(errors[0].str()).strip()
    if any(_listens(*address) for address in _addresses(bootstrap_servers)):
        text += f"; something listens there: does it demand another kafka_security_protocol than {security.protocol}?"
    return text


def _addresses(bootstrap_servers: str) -> Iterator[tuple[str, int]]:
    """Host and port of each server that is named with both."""
    for server in bootstrap_servers.split(","):
        host, _, port = server.strip().rpartition(":")
        if host and port.isdecimal():
            yield host.strip("[]"), int(port)


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=REFUSED_SECONDS):
            return True
    except OSError:
        return False


def _refusal(bootstrap_servers: str, security: KafkaSecurity, said: str) -> KafkaRefusedError:
    """What was wrong with our introduction, or with the broker's, and which setting mends it."""
    reason = " ".join(said.split("\n")[0].split())
    if "certificate verify failed" in said:
        distrust = _distrust(bootstrap_servers, security)
        reason = distrust or reason
        if distrust and "mismatch" in distrust:
            mend = "name the brokers in bootstrap_servers as their certificates do"
        else:
            mend = "kafka_ca_file must hold the authority that signed the brokers' certificates"
    elif "certificate" in said and security.uses_tls:
        mend = "the brokers demand a certificate that they trust: kafka_certificate_file, kafka_key_file"
    elif security.uses_sasl:
        mend = (
            f"look at kafka_username ({security.username}), kafka_password, kafka_sasl_mechanism ({security.mechanism})"
        )
    else:
        mend = f"look at kafka_security_protocol ({security.protocol})"
    return KafkaRefusedError(f"Kafka at {bootstrap_servers} and we do not trust each other ({reason}): {mend}")


def _distrust(bootstrap_servers: str, security: KafkaSecurity) -> str | None:
    """Why a broker's certificate is not trusted, in OpenSSL's words, which librdkafka keeps for itself."""
    context = security.ssl_context()
    assert context is not None
    for host, port in _addresses(bootstrap_servers):
        try:
            with socket.create_connection((host, port), timeout=REFUSED_SECONDS) as plain:
                context.wrap_socket(plain, server_hostname=host).close()
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
        except OSError:
            continue
    return None
