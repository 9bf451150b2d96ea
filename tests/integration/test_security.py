"""A Kafka that demands encryption, names and passwords: the whole path works, and what is wrong is said in one line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from graph import Event, Kind, write_events
from streams.broker import EmbeddedBroker
from streams.broker.listener import Listener
from streams.doctor import Verdict, check_broker
from streams.kafka.clients import KafkaRefusedError, KafkaUnreachableError, connect
from streams.kafka.security import KafkaSecurity
from streams.kafka.topics import create_topics, declared_topics
from streams.replay.publishing import ReplayPlan, replay
from streams.settings import load_settings
from streams.state.export import export_state
from tests.integration.certificates import Authority
from tests.integration.deliverer import Deliverer, publish, service, wait_until
from tests.integration.harness import Stream, Worker
from tests.streams.alerts.delivery.records import alert_record

PASSWORD = "open sesame 7 times"
KEY_PASSWORD = "of the key"


@dataclass(frozen=True)
class Fortress:
    """A broker behind TLS, mutual, and SASL."""

    broker: EmbeddedBroker
    authority: Authority
    directory: Path

    def security(self, **changes: object) -> KafkaSecurity:
        own: dict[str, object] = {
            "protocol": "SASL_SSL",
            "ca_file": self.authority.file,
            "certificate_file": self.directory / "client.pem",
            "key_password": KEY_PASSWORD,
            "username": "alice",
            "password": PASSWORD,
        }
        return KafkaSecurity(**{**own, **changes})  # type: ignore[arg-type]

    def settings(self, password_file: Path) -> dict[str, str]:
        return {
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_CA_FILE": str(self.authority.file),
            "KAFKA_CERTIFICATE_FILE": str(self.directory / "client.pem"),
            "KAFKA_KEY_PASSWORD": KEY_PASSWORD,
            "KAFKA_USERNAME": "alice",
            "KAFKA_PASSWORD_FILE": str(password_file),
        }


@pytest.fixture(scope="module")
def fortress(kafka_jars: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fortress]:
    directory = tmp_path_factory.mktemp("certificates")
    authority = Authority.create(directory)
    keystore = authority.issue(directory, "broker", ("127.0.0.1",))
    authority.issue(directory, "client", password=KEY_PASSWORD)
    Authority.create(directory, "stranger").issue(directory, "strangers-client")
    listener = Listener("SASL_SSL", keystore, authority.file, True, {"broker": "its own", "alice": PASSWORD})
    with EmbeddedBroker(listener=listener) as broker:
        yield Fortress(broker, authority, directory)


def test_topics_replay_worker_and_export_go_through_tls_and_sasl(
    fortress: Fortress, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n")
    settings = fortress.settings(secret) | {"MODELS": "seismic", "PROCESSING_GUARANTEE": "exactly_once"}
    stream = Stream(fortress.broker.bootstrap_servers, topic_prefix, settings, partitions=1)
    for name, value in stream.environment().items():
        monkeypatch.setenv(name, value)
    create_topics(stream.bootstrap_servers, declared_topics(1, 1, topic_prefix))
    post = Event(id="p", cascade="p", kind=Kind.POST, time=1.4e9, user="u")
    reposts = [
        Event(id=f"r{n}", cascade="p", kind=Kind.REPOST, time=1.4e9 + 60 * n, user=f"u{n}", parent="p")
        for n in range(1, 20)
    ]
    write_events(tmp_path / "events.jsonl", [post, *reposts])
    replay(ReplayPlan(str(tmp_path / "events.jsonl"), stream.bootstrap_servers, topic_prefix))
    with Worker(stream, tmp_path) as worker:
        worker.wait_ready(120)
        worker._wait(lambda: worker.idle() and worker.metrics()["cascadecast_forecasts_made_total"] > 5, 60, "done")
        told = worker.log_path.read_text() + worker.get("/metrics")[1] + worker.get("/readyz")[1]
        assert worker.terminate() == 0
    assert [(found.cascade, found.size) for found in export_state(load_settings())] == [("p", 19)]
    finding = check_broker(stream.bootstrap_servers)
    assert finding.verdict is Verdict.OK
    assert not [said for said in (told, str(finding)) if PASSWORD in said or KEY_PASSWORD in said]


def test_alerts_are_delivered_through_tls_and_sasl(
    fortress: Fortress, topic_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n")
    stream = Stream(fortress.broker.bootstrap_servers, topic_prefix, fortress.settings(secret), partitions=1)
    for name, value in stream.environment().items():
        monkeypatch.setenv(name, value)
    create_topics(stream.bootstrap_servers, declared_topics(1, 1, topic_prefix))
    publish(stream, [alert_record(cascade="p")], fortress.security())
    with service() as told:
        targets = f'[targets.archive]\ntype = "webhook"\nurl = "{told.url}"\nstart = "beginning"\n'
        with Deliverer(stream, tmp_path, targets) as deliverer:
            wait_until(lambda: bool(told.taken), "told")
            assert deliverer.terminate() == 0
    assert [body["cascade"] for _, body in told.taken] == ["p"]
    assert PASSWORD not in deliverer.log_path.read_text()


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_every_mechanism_is_spoken(fortress: Fortress, mechanism: str) -> None:
    _, metadata = connect(fortress.broker.bootstrap_servers, fortress.security(mechanism=mechanism))
    assert metadata.brokers


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"password": "a guess"}, "kafka_password"),
        ({"username": "mallory"}, "mallory"),
        ({"ca_file": "stranger.pem"}, "kafka_ca_file"),
        ({"ca_file": None}, "kafka_ca_file"),
        ({"certificate_file": None}, "kafka_certificate_file"),
        ({"certificate_file": "strangers-client.pem", "key_password": None}, "kafka_certificate_file"),
    ],
)
def test_what_is_wrong_is_one_line_with_its_mend(fortress: Fortress, changes: dict[str, object], said: str) -> None:
    named = {
        name: fortress.directory / value if isinstance(value, str) and value.endswith(".pem") else value
        for name, value in changes.items()
    }
    with pytest.raises(KafkaRefusedError, match=said) as refused:
        connect(fortress.broker.bootstrap_servers, fortress.security(**named))
    assert "\n" not in str(refused.value)
    assert PASSWORD not in str(refused.value)
    assert "a guess" not in str(refused.value)


def test_a_broker_whose_certificate_has_another_name_is_not_trusted(fortress: Fortress) -> None:
    with pytest.raises(KafkaRefusedError, match="as their certificates do"):
        connect(f"localhost:{fortress.broker.port}", fortress.security())


def test_a_client_without_encryption_is_told_so(fortress: Fortress) -> None:
    with pytest.raises((KafkaRefusedError, KafkaUnreachableError), match=r"security\.protocol|security_protocol"):
        connect(fortress.broker.bootstrap_servers, KafkaSecurity())


def test_the_worker_says_it_in_one_line_and_ends_with_2(fortress: Fortress, topic_prefix: str, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("a guess")
    stream = Stream(fortress.broker.bootstrap_servers, topic_prefix, fortress.settings(secret))
    worker = Worker(stream, tmp_path).start()
    assert worker.process is not None
    assert worker.process.wait(60) == 2
    (line,) = worker.log_path.read_text().splitlines()
    assert "kafka_password" in line
    assert "a guess" not in line
