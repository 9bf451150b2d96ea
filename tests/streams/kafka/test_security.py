"""Secrets come from settings or files, and appear nowhere; pages are open to this machine or to who has the token."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from graph.errors import UserError
from streams.broker.errors import BrokerError
from streams.broker.listener import OPEN, Listener
from streams.doctor import check_broker
from streams.kafka.clients import connect, kafka_client_config
from streams.kafka.security import PLAINTEXT, KafkaSecurity
from streams.settings import CONFIG_VARIABLE, Settings, SettingsError, load_settings
from streams.web.tokens import may_read

SECRETS = {
    "kafka_password": "hunter2-of-kafka",
    "kafka_key_password": "hunter2-of-the-key",
    "http_token": "hunter2-of-the-pages",
}
NAMED = {"kafka_security_protocol": "SASL_SSL", "kafka_username": "alice", "bootstrap_servers": "127.0.0.1:1"}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CASCADECAST_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def secretive(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (NAMED | SECRETS).items():
        monkeypatch.setenv(f"CASCADECAST_{name.upper()}", value)


# --- where secrets come from


def test_the_clients_are_given_what_the_settings_say(secretive: None) -> None:
    security = load_settings().kafka_security()
    config = kafka_client_config("a:1")
    assert config["sasl.password"] == SECRETS["kafka_password"]
    assert config["ssl.endpoint.identification.algorithm"] == "https"
    assert security.aiokafka()["sasl_plain_password"] == SECRETS["kafka_password"]
    assert security.aiokafka()["ssl_context"].check_hostname


def test_a_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("with a blank at the end \n")
    assert load_settings(**NAMED, kafka_password_file=file).kafka_security().password == "with a blank at the end "


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kafka_password_file": "/no/such/file"}, "kafka_password_file: cannot read /no/such/file"),
        ({"kafka_password_file": os.devnull}, "is empty"),
        ({"kafka_password": "a", "kafka_password_file": os.devnull}, "give one of them"),
        ({}, "needs kafka_username and kafka_password"),
        ({"kafka_password": "a", "kafka_key_file": "key.pem"}, "kafka_certificate_file"),
    ],
)
def test_what_is_missing_or_contradicts_itself_is_said(options: dict[str, str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        load_settings(**NAMED, **options).kafka_security()


def test_a_password_without_a_protocol_is_not_silently_left_out() -> None:
    with pytest.raises(SettingsError, match="kafka_security_protocol"):
        load_settings(kafka_username="alice", kafka_password="a").kafka_security()


@pytest.mark.parametrize(("content", "said"), [(None, "cannot read"), ("no certificate", "no PEM file")])
def test_a_file_that_is_no_certificate_is_named(tmp_path: Path, content: str | None, said: str) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UserError, match=f"kafka_ca_file: .*{said}|kafka_ca_file: {said}"):
        connect("127.0.0.1:1", KafkaSecurity("SSL", ca_file=file))


def test_nothing_is_demanded_by_default() -> None:
    assert Settings().kafka_security() == PLAINTEXT == OPEN.for_clients()


# --- where they do not appear


def test_secrets_appear_nowhere(
    secretive: None, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = load_settings()
    with caplog.at_level(logging.DEBUG):
        told = [
            repr(settings),
            str(settings),
            settings.model_dump_json(),
            repr(settings.kafka_security()),
            repr(settings.kafka_security().faust_credentials()),
            str(check_broker(settings.bootstrap_servers)),
            repr(Listener("SASL_PLAINTEXT", users={"alice": SECRETS["kafka_password"]})),
        ]
    told += [caplog.text, *capsys.readouterr()]
    assert not [text for text in told if any(secret in text for secret in SECRETS.values())]


@pytest.mark.parametrize(
    ("name", "toml"),
    [
        ("kafka_password", 'kafka_password = ["hunter2-of-kafka"]'),
        ("http_token", 'http_token = { "hunter2-of-the-pages" = 1 }'),
        ("horizon_seconds", 'horizon_seconds = 1\nkafka_password = "hunter2-of-kafka"'),
    ],
)
def test_an_error_of_a_setting_does_not_show_secrets(tmp_path: Path, name: str, toml: str) -> None:
    file = tmp_path / "worker.toml"
    file.write_text(toml)
    with pytest.raises(SettingsError) as error:
        load_settings(file)
    os.environ.pop(CONFIG_VARIABLE)
    assert name in str(error.value)
    assert "hunter2" not in str(error.value)


# --- misspelt variables


def test_a_misspelt_variable_is_an_error_that_names_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASCADECAST_HORIZONT_SECONDS", "3600")
    with pytest.raises(SettingsError, match=r"CASCADECAST_HORIZONT_SECONDS.*did you mean CASCADECAST_HORIZON_SECONDS"):
        load_settings()


# --- the pages


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        ("Bearer s3cret", True),
        ("bearer s3cret", True),
        ("Bearer s3cre", False),
        ("Bearer s3cret2", False),
        ("Basic s3cret", False),
        ("s3cret", False),
        ("", False),
        (None, False),
    ],
)
def test_only_the_token_opens_the_pages(header: str | None, allowed: bool) -> None:
    assert may_read(header, "s3cret") is allowed
    assert may_read(header, None), "without a token all may read"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_this_machine_needs_no_token(host: str) -> None:
    assert Settings(http_host=host).http_secret() is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "worker.example.org", ""])
def test_other_machines_are_let_in_with_a_token_or_on_purpose(host: str) -> None:
    with pytest.raises(SettingsError, match="http_token"):
        Settings(http_host=host).http_secret()
    assert Settings(http_host=host, http_token="s3cret").http_secret() == "s3cret"
    assert Settings(http_host=host, http_open=True).http_secret() is None
    with pytest.raises(SettingsError, match="empty"):
        Settings(http_host=host, http_token="").http_secret()


# --- the embedded broker's listener


def test_a_listener_says_what_it_lacks() -> None:
    with pytest.raises(BrokerError, match="keystore"):
        Listener("SSL")
    with pytest.raises(BrokerError, match="users"):
        Listener("SASL_PLAINTEXT")
    with pytest.raises(BrokerError, match="letters"):
        Listener("SASL_PLAINTEXT", users={"alice": 'quo"te'})
