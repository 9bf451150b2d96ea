"""What can be told of alerts, and how: the models of the targets file. Times are wall time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from streams.alerts.records import AlertState, Severity


def http_url(url: str) -> str:
    """The URL, once it is known to be one that can be posted to. Raises ValueError."""
    parts = urlsplit(url)
    # Asking for the port raises where it is none.
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("not an http:// or https:// URL")
    if "@" in parts.netloc:
        raise ValueError("holds a name or password: give them by username and password_file or password_env")
    return url


HttpUrl = Annotated[str, AfterValidator(http_url)]

VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class Target(BaseModel):
    """What all targets have in common. Unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str

    secret_names: ClassVar[tuple[str, ...]] = ()
    """Secrets of this kind of target, each given as ``<name>_file`` or ``<name>_env``."""

    severities: tuple[Severity, ...] = Field(tuple(Severity), min_length=1, description="Alerts of these only.")
    rules: tuple[str, ...] | None = Field(None, min_length=1, description="Alerts of these rules only; none: all.")
    states: tuple[AlertState, ...] = Field(tuple(AlertState), min_length=1, description="Records of these only.")
    start: Literal["now", "beginning"] = Field(
        "now",
        description="Where a target that was never told anything begins in what Kafka still holds: now or beginning.",
    )
    collapse: bool = Field(
        True, description="Whether of several records of one alert that wait the newest alone is delivered."
    )
    at_once: int = Field(8, ge=1, le=64, description="Requests under way at the same time.")
    interval_seconds: float = Field(0.0, ge=0, le=60, description="Least time between the starts of two requests.")
    timeout_seconds: float = Field(10.0, gt=0, le=60, description="For one request, with its answer.")
    retry_seconds: float = Field(
        1.0,
        gt=0,
        le=60,
        description="Before the second try; then doubled each time, less up to a half by chance.",
    )
    retry_max_seconds: float = Field(60.0, gt=0, le=3600, description="At most between two tries.")
    give_up_seconds: float = Field(
        21_600.0, gt=0, description="A record that could not be delivered for so long goes to the dead letters."
    )
    max_tries: int | None = Field(None, ge=1, description="So does one that failed so often.")
    max_age_seconds: float | None = Field(
        21_600.0,
        gt=0,
        description="So does one, unless it says resolved, that has been in Kafka for so long before it could be "
        "delivered; none: however old.",
    )
    late_seconds: float = Field(
        300.0, gt=0, description="A record delivered so long after it came to Kafka says that it is late."
    )
    ca_file: Path | None = Field(None, description="PEM file of the authority to trust; none: the system's.")
    proxy: HttpUrl | None = Field(None, description="HTTP proxy on the way there.")

    def wants(self, rule: str, severity: Severity) -> bool:
        """Whether alerts of this rule and severity go here at all."""
        return severity in self.severities and (self.rules is None or rule in self.rules)


class AlertmanagerTarget(Target):
    """One or several Prometheus Alertmanagers of a cluster (API v2); each is told everything."""

    secret_names = ("password", "bearer")

    type: Literal["alertmanager"]
    urls: tuple[HttpUrl, ...] = Field(min_length=1, description="Of every Alertmanager of the cluster.")
    # It is told states, not news: an alert that has been open for days and is open still must be shown.
    max_age_seconds: float | None = Field(
        None, gt=0, description="Records older than this are not delivered; none: however old."
    )
    # As Prometheus itself.
    resend_seconds: float = Field(
        60.0, gt=0, le=3600, description="Open alerts are sent again so often: what is not is taken for resolved."
    )
    # As Alertmanager's own resolve_timeout: four re-sends may be lost, and a restart of this process is not seen.
    expire_seconds: float = Field(
        300.0, gt=0, description="An open alert that is not sent again for so long is resolved by Alertmanager."
    )
    # Twice the default horizon, at which whatever is open is resolved.
    forget_seconds: float = Field(
        172_800.0, gt=0, description="An open alert of which no record came for so long is not sent again."
    )
    username: str | None = Field(None, min_length=1, description="For basic authentication.")
    password_file: Path | None = Field(None, description="File that holds its password.")
    password_env: VariableName | None = Field(None, description="Variable that holds it.")
    bearer_file: Path | None = Field(None, description="File that holds a bearer token.")
    bearer_env: VariableName | None = Field(None, description="Variable that holds it.")

    @model_validator(mode="after")
    def _meant(self) -> Self:
        if not {AlertState.OPENED, AlertState.RESOLVED} <= set(self.states):
            raise ValueError("states must hold opened and resolved: an Alertmanager is told what is open")
        if self.expire_seconds < 3 * self.resend_seconds:
            raise ValueError("expire_seconds must be at least 3 times resend_seconds, or one lost re-send resolves")
        if (self.username is None) != (self.password_file is None and self.password_env is None):
            raise ValueError("username needs password_file or password_env, and they need username")
        if self.username is not None and (self.bearer_file or self.bearer_env):
            raise ValueError("give username or a bearer token, not both")
        return self


class WebhookTarget(Target):
    """An HTTP service that takes each record as JSON, signed as standardwebhooks.com describes."""

    secret_names = ("secret", "bearer")

    type: Literal["webhook"]
    url: HttpUrl = Field(description="Where records are posted.")
    collapse: bool = Field(
        False, description="Whether of several records of one alert that wait the newest alone is delivered."
    )
    secret_file: Path | None = Field(
        None, description="File that holds the key of signatures; several, while they are changed, one a line."
    )
    secret_env: VariableName | None = Field(None, description="Variable that holds it.")
    bearer_file: Path | None = Field(None, description="File that holds a bearer token.")
    bearer_env: VariableName | None = Field(None, description="Variable that holds it.")


class SlackTarget(Target):
    """An incoming webhook of Slack, or of what speaks like it. Its URL is a secret."""

    secret_names = ("url",)

    type: Literal["slack"]
    url_file: Path | None = Field(None, description="File that holds the URL.")
    url_env: VariableName | None = Field(None, description="Variable that holds it.")
    # In order, for people who read from top to bottom, and no faster than Slack takes them.
    at_once: int = Field(1, ge=1, le=64, description="Requests under way at the same time.")
    interval_seconds: float = Field(1.0, ge=0, le=60, description="Least time between the starts of two requests.")

    @model_validator(mode="after")
    def _has_a_url(self) -> Self:
        if self.url_file is None and self.url_env is None:
            raise ValueError("url_file or url_env is missing: the file or variable that holds the URL")
        return self


AnyTarget = Annotated[AlertmanagerTarget | WebhookTarget | SlackTarget, Field(discriminator="type")]
