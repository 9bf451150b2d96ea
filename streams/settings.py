"""Every setting of the engine and the worker: from the environment (``CASCADECAST_*``), a TOML file, or an option."""

from __future__ import annotations

import ipaddress
import math
import os
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from graph.errors import UserError
from streams.kafka.security import KafkaSecurity

PREFIX = "CASCADECAST_"
"""Of the environment variables that are settings; there may be no others."""

CONFIG_VARIABLE = "CASCADECAST_CONFIG"


class SettingsError(UserError):
    """A setting has a value that cannot be meant."""


class Settings(BaseSettings):
    """Settings of a worker; the fields under "engine" also govern ``cascadecast forecast``.

    Durations are seconds of event time unless the name says ``wall``.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", env_nested_delimiter="__")

    # --- engine: what is forecast, and when. These fields alone decide the forecasts made of a given input.
    horizon_seconds: float = Field(86_400.0, gt=0, description="Age at which popularity is forecast.")
    forecast_delay_seconds: float = Field(
        60.0,
        ge=0.001,
        description="An updated cascade is forecast within this time; updates in between are coalesced.",
    )
    minimum_observed: int = Field(1, ge=0, description="Reshares a post must have before it is forecast.")
    allowed_lateness_seconds: float = Field(
        10.0,
        ge=0,
        description="How far the watermark stays behind the latest event: covers a source's disorder.",
    )
    max_jump_seconds: float = Field(
        1800.0,
        ge=0,
        description="How far ahead an event's time is believed at once; further, other cascades must say the same.",
    )
    retention_grace_seconds: float = Field(
        3600.0, ge=0, description="How long a cascade stays in memory after its age passed the horizon."
    )
    models: Annotated[tuple[str, ...], NoDecode] = Field(
        ("blend", "concat", "casft", "autocas"),
        min_length=1,
        description="Forecasters, each as name, name@version or name@alias.",
    )

    score_ages_seconds: Annotated[tuple[float, ...], NoDecode] = Field(
        (300.0, 600.0, 1200.0, 2400.0, 3600.0, 7200.0, 14_400.0, 28_800.0, 43_200.0),
        description="A cascade's first forecast at or after each of these ages is kept, scored when it reaches the "
        "horizon, and learned from; none: no scores.",
    )
    learn: bool = Field(
        True,
        description="Whether forecasts follow the stream: intervals and the weights of blends its scores, models the "
        "platform that its posts resemble; scores are made either way.",
    )
    learn_every_seconds: float = Field(
        3600.0,
        ge=1,
        description="Slot of event time: a forecast uses what had been learned before its slot began.",
    )
    partitions: int = Field(
        8,
        ge=1,
        description="Partitions of the events topic, each of which learns for itself; read from Kafka by a worker, "
        "a setting for a run over a file.",
    )
    alert_rules: Path | None = Field(
        None, description="TOML file of alert rules, followed by running workers; none: no alerts."
    )

    # --- bounds
    max_events_per_cascade: int = Field(
        200_000, ge=100, description="Above it, reshares are counted by the minute and no longer kept one by one."
    )
    max_live_cascades: int = Field(
        1_000_000, ge=1, description="Per partition; above it, cascades leave early, in the same order."
    )
    memory_limit_bytes: int = Field(
        4 * 1024**3,
        ge=1_000_000,
        description="Live cascades of all partitions together, an equal part for each; beyond it withdrawn, matured, "
        "idle and small ones leave early.",
    )
    max_kept_forecasts: int = Field(
        200_000, ge=1, description="Per partition, forecasts kept until they can be scored; beyond it no more are kept."
    )
    idle_seconds: float | None = Field(None, gt=0, description="A cascade silent for so long leaves memory.")
    max_backlog: int = Field(20_000, ge=1, description="Forecasts that may wait before updates are superseded.")
    shed: bool | Literal["paced"] = Field(
        True,
        description="Under overload supersede waiting forecasts; when false, hold back the input instead; when paced, "
        "do both, so that each updated cascade is forecast within forecast_within_seconds.",
    )
    forecast_within_seconds: float = Field(
        2.0,
        gt=0,
        description="Wall time within which a due forecast of a live partition, or of a paced one, is to be made; "
        "beyond it the partition is overloaded.",
    )

    # --- worker
    bootstrap_servers: str = Field("127.0.0.1:9092", min_length=1)
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT",
        description="What the brokers demand: encryption (SSL), a password (SASL), both or neither.",
    )
    kafka_ca_file: Path | None = Field(
        None, description="PEM file of the authority that signed the brokers' certificates; none: the system's."
    )
    kafka_certificate_file: Path | None = Field(
        None, description="PEM file of our own certificate, where brokers demand one."
    )
    kafka_key_file: Path | None = Field(None, description="PEM file of its key; none: it is in the certificate's file.")
    kafka_key_password: SecretStr | None = Field(None, description="Password of the key file.")
    kafka_key_password_file: Path | None = Field(None, description="File that holds it, and nothing else.")
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="How the password is proved."
    )
    kafka_username: str | None = Field(None, description="Who we are to the brokers.")
    kafka_password: SecretStr | None = Field(None, description="Its password.")
    kafka_password_file: Path | None = Field(None, description="File that holds it, and nothing else.")
    app_id: str = Field("cascadecast", pattern=r"^[a-zA-Z0-9._-]+$", max_length=200)
    topic_prefix: str = Field("social", pattern=r"^[a-zA-Z0-9._-]+$", max_length=100)
    processing_guarantee: Literal["at_least_once", "exactly_once"] = Field(
        "at_least_once",
        description="Whether outputs may be published again after a crash, or go out in transactions, once.",
    )
    delivery_timeout_seconds: float = Field(
        120.0,
        ge=10,
        le=900,  # of Kafka, for transactions: transaction.max.timeout.ms
        description="Wall time for Kafka to acknowledge a record; beyond it the worker exits, to be restarted.",
    )
    data_dir: Path = Field(Path("cascadecast-data"), description="Local copy of the durable state.")
    challengers: Annotated[tuple[str, ...], NoDecode] = Field(
        ("all",),
        min_length=1,
        description="Whose challengers forecast too, apart: all models', none, or models as name or name@version.",
    )
    models_poll_seconds: float = Field(
        5.0, gt=0, description="Wall time between two looks at the model store for newly promoted versions."
    )
    alert_rules_poll_seconds: float = Field(
        5.0, gt=0, description="Wall time between two looks at the file of alert rules."
    )
    models_dir: Path = Field(Path("models"), description="Model store beside the shipped weights.")
    batch_max_events: int = Field(
        4000, ge=1, le=20_000, description="Records of one partition in one durable write at most."
    )
    batched_delivery: bool = Field(
        True, description="Whether the records of a fetch reach the worker together, or one by one as Faust delivers."
    )
    batch_within_seconds: float = Field(0.05, gt=0, le=5, description="Wall time a micro-batch may fill.")
    inference_batch: int = Field(64, ge=1, le=4096)
    inference_threads: int = Field(1, ge=1)
    session_timeout_seconds: float = Field(10.0, ge=6, description="Wall time after which a dead worker is replaced.")
    instance_id: str | None = Field(
        None,
        pattern=r"^[a-zA-Z0-9._-]+$",
        max_length=200,
        description="A name of this worker alone, the same after a restart: one within session_timeout_seconds then "
        "moves no partition.",
    )
    standby_replicas: int = Field(
        1, ge=0, le=8, description="Other workers that keep a copy of each partition's state, to take over at once."
    )
    commit_interval_seconds: float = Field(1.0, gt=0, description="Wall time between offset commits.")
    idle_after_seconds: float = Field(
        30.0, gt=0, description="Wall time without events before a live partition is idle."
    )
    heartbeat_seconds: float = Field(
        10.0,
        ge=0,
        description="Wall time between two heartbeats, records that a worker sends through each of its partitions to "
        "know that the whole way is open; 0: none.",
    )
    live_within_seconds: float = Field(
        300.0,
        gt=0,
        description="A partition is live while its events are at most so much older than the wall clock.",
    )
    http_host: str = "127.0.0.1"
    http_port: int = Field(6066, ge=0, le=65535)
    http_advertised_host: str | None = Field(
        None,
        min_length=1,
        description="Name under which other workers reach this one's pages, so that each answers for all posts; none: "
        "http_host, or the machine's own name where that is every address.",
    )
    http_token: SecretStr | None = Field(
        None, description="What a client of /metrics must send as bearer token; the probes need none."
    )
    http_token_file: Path | None = Field(None, description="File that holds it, and nothing else.")
    http_open: bool = Field(
        False, description="Whether other machines may read the pages without a token, where http_host lets them in."
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    watchdog_loop_seconds: float = Field(
        60.0, ge=1, description="Wall time for which the event loop may not answer before the worker exits."
    )
    # Where Faust's consumer stalls after rebalances and asking again does not help, only a restart does, and should
    # come soon. What a worker does by itself takes seconds a batch, a round or a part of a recovery.
    watchdog_stall_seconds: float = Field(
        90.0,
        ge=1,
        description="Wall time without any progress, though there is work and Kafka answers, before the worker exits.",
    )
    drain_timeout_seconds: float = Field(30.0, gt=0, description="Wall time for finishing work after SIGTERM.")

    @field_validator("models", "challengers", mode="before")
    @classmethod
    def _split_models(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("score_ages_seconds", mode="before")
    @classmethod
    def _split_ages(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("score_ages_seconds")
    @classmethod
    def _ages_ascend(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(age < 0 or not math.isfinite(age) for age in value):
            raise ValueError("ages are seconds, 0 or more")
        return tuple(sorted(set(value)))

    @model_validator(mode="after")
    def _delay_below_horizon(self) -> Settings:
        if self.forecast_delay_seconds >= self.horizon_seconds:
            raise ValueError("forecast_delay_seconds must be below horizon_seconds")
        return self

    def kafka_security(self) -> KafkaSecurity:
        """How to connect to Kafka. Raises SettingsError or UserError for what is missing or cannot be read."""
        demands = self.model_fields_set & {"kafka_ca_file", "kafka_certificate_file", "kafka_username"}
        if demands and "kafka_security_protocol" not in self.model_fields_set:
            raise SettingsError(
                f"setting {min(demands)} is of no use without kafka_security_protocol: SSL, SASL_SSL or SASL_PLAINTEXT"
            )
        return KafkaSecurity(
            self.kafka_security_protocol,
            self.kafka_ca_file,
            self.kafka_certificate_file,
            self.kafka_key_file,
            _secret(self.kafka_key_password, self.kafka_key_password_file, "kafka_key_password"),
            self.kafka_sasl_mechanism,
            self.kafka_username,
            _secret(self.kafka_password, self.kafka_password_file, "kafka_password"),
        )

    def http_secret(self) -> str | None:
        """The token of the HTTP pages. Raises SettingsError where other machines could read them without one."""
        token = _secret(self.http_token, self.http_token_file, "http_token")
        if token == "":
            raise SettingsError("setting http_token: it is empty; leave it out if there is to be none")
        if token is None and not self.http_open and not is_loopback(self.http_host):
            raise SettingsError(
                f"setting http_host: other machines can reach {self.http_host}; give http_token or http_token_file, "
                "or set http_open to true if all that can reach it may read the metrics"
            )
        return token

    def of_partitions(self, count: int) -> Settings:
        """The settings for an events topic of so many partitions, which share the bound on bytes."""
        return self.model_copy(update={"partitions": count})

    @property
    def retention_seconds(self) -> float:
        """Age at which a cascade leaves memory."""
        return self.horizon_seconds + self.retention_grace_seconds

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Options win over the environment, the environment over the TOML file."""
        path = os.environ.get(CONFIG_VARIABLE)
        sources = (init_settings, env_settings)
        return (*sources, TomlConfigSettingsSource(settings_cls, Path(path))) if path else sources


def load_settings(config: Path | None = None, **options: Any) -> Settings:
    """Read the settings; options that are None are as if not given.

    Raises SettingsError naming the setting, where it came from is told by its name: the option, the variable
    ``CASCADECAST_<NAME>`` or the key of the TOML file.
    """
    if config is not None:
        os.environ[CONFIG_VARIABLE] = str(config)
    path = os.environ.get(CONFIG_VARIABLE)
    if path:
        _check_toml(Path(path))
    check_environment()
    try:
        return Settings(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "settings"
        if first["type"] == "extra_forbidden":
            near = get_close_matches(name, Settings.model_fields, 1)
            hint = f"did you mean {near[0]}?" if near else "docs/kafka.md lists them all"
            raise SettingsError(f"{path or 'options'}: there is no setting {name:.100}: {hint}") from None
        raise SettingsError(
            f"setting {name:.100}: {first['msg']}{_shown(name, first.get('input')):.200}; set it by option, "
            f"CASCADECAST_{name.upper():.100} or the configuration file"
        ) from None


def _shown(name: str, value: object) -> str:
    """The value that was given, unless it is or may hold a secret."""
    secret = any(part in name for part in ("password", "token"))
    return "" if secret or isinstance(value, dict) else f" (got {value!r})"


def check_environment() -> None:
    """Raises SettingsError for a variable that looks like a setting and is none, naming the nearest."""
    variables = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | {CONFIG_VARIABLE}
    for variable in sorted(os.environ):
        if variable.upper().startswith(PREFIX) and variable.upper() not in variables:
            near = get_close_matches(variable.upper(), variables, 1)
            hint = f"did you mean {near[0]}?" if near else "docs/kafka.md lists them all"
            raise SettingsError(f"environment variable {variable}: there is no such setting: {hint}")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address; a name other than localhost counts as reachable."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _secret(value: SecretStr | None, path: Path | None, name: str) -> str | None:
    """A secret that was given itself, or in a file; one newline at the file's end does not belong to it."""
    if value is not None:
        if path is not None:
            raise SettingsError(f"settings {name} and {name}_file: give one of them")
        return value.get_secret_value()
    if path is None:
        return None
    try:
        secret = path.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise SettingsError(f"setting {name}_file: cannot read {path}: {reason}") from None
    if not secret:
        raise SettingsError(f"setting {name}_file: {path} is empty")
    return secret


def _check_toml(path: Path) -> None:
    try:
        with path.open("rb") as file:
            tomllib.load(file)
    except OSError as error:
        raise SettingsError(f"{path}: cannot read the configuration file: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: not UTF-8 at byte {error.start + 1}") from None
    except (tomllib.TOMLDecodeError, ValueError, RecursionError) as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from None
