"""How our Kafka clients prove who they are, and to whom they talk: TLS and SASL, by each library's own names."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from graph.errors import UserError

if TYPE_CHECKING:
    from faust.types.auth import CredentialsT


@dataclass(frozen=True, slots=True)
class KafkaSecurity:
    """A cluster's demands. Secrets are left out of what ``repr`` shows."""

    protocol: str = "PLAINTEXT"
    ca_file: Path | None = None
    """Whom to trust; None: whom the system trusts."""
    certificate_file: Path | None = None
    key_file: Path | None = None
    key_password: str | None = field(default=None, repr=False)
    mechanism: str = "SCRAM-SHA-512"
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Raises UserError for what cannot be meant."""
        if self.uses_sasl and not (self.username and self.password):
            raise UserError(
                f"kafka_security_protocol {self.protocol} needs kafka_username and kafka_password (or "
                "kafka_password_file)"
            )
        if self.key_file is not None and self.certificate_file is None:
            raise UserError("kafka_key_file needs kafka_certificate_file: the certificate that belongs to it")

    @property
    def uses_tls(self) -> bool:
        """Whether the connection is encrypted and the broker proves its name."""
        return self.protocol.endswith("SSL")

    @property
    def uses_sasl(self) -> bool:
        """Whether a name and a password are given."""
        return self.protocol.startswith("SASL")

    def librdkafka(self) -> dict[str, Any]:
        """Settings of confluent-kafka's clients."""
        config: dict[str, Any] = {"security.protocol": self.protocol}
        if self.uses_tls:
            config |= {"ssl.endpoint.identification.algorithm": "https", "enable.ssl.certificate.verification": True}
            if self.ca_file is not None:
                config["ssl.ca.location"] = str(self.ca_file)
            if self.certificate_file is not None:
                config["ssl.certificate.location"] = str(self.certificate_file)
                config["ssl.key.location"] = str(self.key_file or self.certificate_file)
            if self.key_password is not None:
                config["ssl.key.password"] = self.key_password
        if self.uses_sasl:
            config |= {
                "sasl.mechanisms": self.mechanism,
                "sasl.username": self.username,
                "sasl.password": self.password,
            }
        return config

    def ssl_context(self) -> ssl.SSLContext | None:
        """For Python's own TLS; None without. Raises UserError naming the file that cannot be used."""
        if not self.uses_tls:
            return None
        context = ssl.create_default_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.ca_file is not None:
            context = ssl.create_default_context(cafile=_readable(self.ca_file, "kafka_ca_file"))
        if self.certificate_file is not None:
            certificate = _readable(self.certificate_file, "kafka_certificate_file")
            key = _readable(self.key_file, "kafka_key_file") if self.key_file is not None else None
            try:
                context.load_cert_chain(certificate, key, password=lambda: self.key_password or "")
            except ssl.SSLError as error:
                raise UserError(
                    f"{certificate} and its key cannot be used ({error.reason or error}): both as PEM, the key with "
                    "kafka_key_password if it has one"
                ) from None
        return context

    def aiokafka(self) -> dict[str, Any]:
        """Settings of aiokafka's clients."""
        config: dict[str, Any] = {"security_protocol": self.protocol, "ssl_context": self.ssl_context()}
        if self.uses_sasl:
            config |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return config

    def faust_credentials(self) -> CredentialsT | None:
        """What Faust gives to its clients."""
        from faust.auth import SASLCredentials, SSLCredentials

        context = self.ssl_context()
        if self.uses_sasl:
            return SASLCredentials(
                username=self.username, password=self.password, mechanism=self.mechanism, ssl_context=context
            )
        return SSLCredentials(context=context) if context is not None else None


def _readable(path: Path, setting: str) -> str:
    """The path, once it is known to hold something."""
    try:
        text = path.read_text(encoding="ascii")
    except OSError as error:
        raise UserError(f"{setting}: cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        text = ""
    if "-----BEGIN" not in text:
        raise UserError(f"{setting}: {path} is no PEM file")
    return str(path)


PLAINTEXT: Final = KafkaSecurity()
"""No encryption, no password: for a Kafka on this machine or in a trusted network."""
