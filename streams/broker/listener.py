"""What the embedded broker demands of its clients: nothing by default, certificates and passwords to try them out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from streams.broker.errors import BrokerError
from streams.kafka.security import KafkaSecurity

SCRAM: Final = ("SCRAM-SHA-256", "SCRAM-SHA-512")

_LOGIN: Final = "sasl.jaas.config=org.apache.kafka.common.security"


_TAKEN: Final = re.compile(r"[A-Za-z0-9 .:_-]+")


@dataclass(frozen=True, slots=True)
class Listener:
    """One listener for clients and for the broker itself.

    The passwords stand in the broker's configuration, which only its owner can read.
    """

    protocol: str = "PLAINTEXT"
    keystore: Path | None = None
    """PEM: the broker's key (PKCS #8) and certificate."""
    authority: Path | None = None
    """PEM: who signed it, and the clients' certificates."""
    demands_certificates: bool = False
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Names and passwords; the first is the broker's own too."""

    def __post_init__(self) -> None:
        """Raises BrokerError for what is missing."""
        if self.protocol.endswith("SSL") and (self.keystore is None or self.authority is None):
            raise BrokerError(f"a listener of {self.protocol} needs a keystore and an authority")
        if self.protocol.startswith("SASL") and not self.users:
            raise BrokerError(f"a listener of {self.protocol} needs users")
        if not all(_TAKEN.fullmatch(text) for user in self.users.items() for text in user):
            raise BrokerError("Kafka's tool takes letters, digits, spaces and .:_- in names and passwords of users")

    def properties(self) -> list[str]:
        """Lines of the broker's configuration."""
        lines = [f"listener.security.protocol.map=BROKER:{self.protocol},CONTROLLER:PLAINTEXT"]
        if self.protocol.endswith("SSL"):
            lines += [
                "ssl.keystore.type=PEM",
                f"ssl.keystore.location={self.keystore}",
                "ssl.truststore.type=PEM",
                f"ssl.truststore.location={self.authority}",
                # Without the listener's name Kafka ignores it where there is SASL.
                f"listener.name.broker.ssl.client.auth={'required' if self.demands_certificates else 'none'}",
            ]
        if self.protocol.startswith("SASL"):
            name, password = next(iter(self.users.items()))
            plain = " ".join(f'user_{user}="{secret}"' for user, secret in self.users.items())
            lines += [
                f"sasl.enabled.mechanisms=PLAIN,{','.join(SCRAM)}",
                "sasl.mechanism.inter.broker.protocol=PLAIN",
                f"listener.name.broker.plain.{_LOGIN}.plain.PlainLoginModule required "
                f'username="{name}" password="{password}" {plain};',
                *(
                    f"listener.name.broker.{mechanism.lower()}.{_LOGIN}.scram.ScramLoginModule required;"
                    for mechanism in SCRAM
                ),
            ]
        return lines

    def credentials(self) -> list[str]:
        """Options by which the storage tool makes the users known."""
        if not self.protocol.startswith("SASL"):
            return []
        return [
            option
            for mechanism in SCRAM
            for user, secret in self.users.items()
            for option in ("--add-scram", f"{mechanism}=[name={user},password={secret}]")
        ]

    def for_clients(self) -> KafkaSecurity:
        """How its first user connects, with the broker's own certificate where one is demanded."""
        name, password = next(iter(self.users.items()), (None, None))
        return KafkaSecurity(
            self.protocol,
            self.authority,
            self.keystore if self.demands_certificates else None,
            username=name,
            password=password,
        )


OPEN: Final = Listener()
"""No encryption, no password: loopback alone can reach it."""
