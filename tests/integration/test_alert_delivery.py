"""Alerts reach a real Alertmanager and webhooks, once, whatever is killed or away."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.alerts.records import AlertRecord, AlertState
from streams.broker import EmbeddedBroker
from tests.debian_tools import debian_tool
from tests.integration.deliverer import Alertmanager, Deliverer, Service, alertmanager, publish, service, wait_until
from tests.integration.harness import Stream, free_port
from tests.streams.alerts.delivery.records import alert_record

ALERTMANAGER = """
[links]
weibo = "https://example.org/{{source}}/{{cascade}}"

[targets.oncall]
type = "alertmanager"
urls = ["{url}", "{dead}"]
resend_seconds = 1
expire_seconds = 6
"""

WEBHOOKS = """
[targets.archive]
type = "webhook"
url = "{url}"
start = "beginning"
secret_env = "ARCHIVE_KEY"

[targets.dead]
type = "webhook"
url = "http://127.0.0.1:{dead}/"
start = "beginning"
max_tries = 2
retry_seconds = 0.1
"""


@pytest.fixture
def told() -> Iterator[Service]:
    with service() as running:
        yield running


@pytest.fixture
def stream(kafka: EmbeddedBroker, topic_prefix: str) -> Stream:
    return Stream(kafka.bootstrap_servers, topic_prefix, {"LOG_FORMAT": "json"}, partitions=2).create()


def live(state: AlertState, cascade: str, after: float = 0.0) -> AlertRecord:
    """Of an alert opened ten seconds ago."""
    return alert_record(state, cascade=cascade, after=after, opened_as_of=LIVE_SINCE)


LIVE_SINCE = round(time.time()) - 10.0


def statuses(told: Service, cascade: str) -> list[str]:
    """What an Alertmanager's receiver heard of a post, without repeats."""
    heard = [
        str(alert["status"])
        for _, message in told.taken
        for alert in message["alerts"]
        if alert["labels"]["cascade"] == cascade
    ]
    return [status for at, status in enumerate(heard) if at == 0 or heard[at - 1] != status]


def test_an_alertmanager_ends_with_what_is_true_though_the_process_is_killed(
    stream: Stream, told: Service, tmp_path: Path
) -> None:
    publish(stream, [live(AlertState.OPENED, "lasting")])  # before there is any target
    with alertmanager(tmp_path, told.url) as running:
        targets = ALERTMANAGER.format(url=running.url, dead=f"http://127.0.0.1:{free_port()}")
        with Deliverer(stream, tmp_path, targets) as deliverer:
            deliverer.wait_ready()
            opened, updated = live(AlertState.OPENED, "viral/1"), live(AlertState.UPDATED, "viral/1", 5.0)
            publish(stream, [opened, updated, opened])
            wait_until(lambda: len(running.firing()) == 2, "two alerts firing")
            found = {alert["labels"]["cascade"]: alert for alert in running.firing()}
            assert found["viral/1"]["labels"] == {
                "alertname": "GoesViral", "cascade": "viral/1", "source": "weibo", "severity": "warning",
                "team": "news",
            }  # fmt: skip
            assert found["viral/1"]["generatorURL"] == "https://example.org/weibo/viral%2F1"
            assert "12,346 expected" in found["viral/1"]["annotations"]["summary"]
            wait_until(lambda: is_committed(stream, "oncall"), "noted as done")
            deliverer.kill()
        publish(stream, [live(AlertState.RESOLVED, "viral/1", 9.0)])
        wait_until(lambda: not running.firing(), "expired, as nobody re-sends")
        with Deliverer(stream, tmp_path, targets) as deliverer:
            wait_until(
                lambda: [a["labels"]["cascade"] for a in running.firing()] == ["lasting"], "the open one again", 60
            )
            publish(stream, [live(AlertState.RESOLVED, "lasting", 9.0)])
            wait_until(lambda: not running.firing(), "all resolved")
            wait_until(lambda: statuses(told, "lasting")[-1] == "resolved", "told that it is over")
            assert deliverer.terminate() == 0
    assert statuses(told, "viral/1") == ["firing", "resolved"]
    first = next(message for _, message in told.taken if message["status"] == "firing")
    assert first["groupLabels"] == {"alertname": "GoesViral", "source": "weibo"}


def firing_posts(running: Alertmanager) -> list[str]:
    return [alert["labels"]["cascade"] for alert in running.firing()]


def is_committed(stream: Stream, target: str) -> bool:
    """Whether all that is on the topic is done for a target."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer(
        {"bootstrap.servers": stream.bootstrap_servers, "group.id": f"{stream.app_id}-deliver-{target}"}
    )
    places = [TopicPartition(f"{stream.prefix}.alerts", number) for number in range(stream.partitions)]
    ends = [consumer.get_watermark_offsets(place, timeout=10.0)[1] for place in places]
    done = [place.offset for place in consumer.committed(places, timeout=10.0)]
    consumer.close()
    return done == ends


def headers(message: Any) -> dict[str, str]:
    return {name: value.decode() for name, value in message.headers()}


def test_a_dead_target_stops_no_other_and_its_records_become_dead_letters(
    stream: Stream, told: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARCHIVE_KEY", "open sesame")
    records = [alert_record(state, cascade=f"c{n}", after=n) for n, state in enumerate(AlertState)]
    publish(stream, [*records, b"no alert"])
    targets = WEBHOOKS.format(url=told.url, dead=free_port())
    previewed = Deliverer(stream, tmp_path, targets).run("--dry-run")
    assert previewed.stdout.count('"target":"archive"') == len(records), previewed.stderr
    with Deliverer(stream, tmp_path, targets) as deliverer:
        deliverer.wait_ready()
        wait_until(lambda: len(told.taken) == len(records), "told")
        wait_until(lambda: is_committed(stream, "archive") and is_committed(stream, "dead"), "all done")
        found = deliverer.metrics()
        assert deliverer.terminate() == 0
    assert sorted(body["id"] for _, body in told.taken) == sorted(record.id for record in records)
    assert all(sent["webhook-id"] == sent["Idempotency-Key"] == body["id"] for sent, body in told.taken)
    assert found['cascadecast_delivery_records_total{fate="delivered",target="archive"}'] == 3
    assert found['cascadecast_delivery_records_total{fate="dead-lettered",target="dead"}'] == 4
    assert found['cascadecast_delivery_records_read_total{target="dead"}'] == 4
    letters = stream.messages("dead-letters")
    by_reason = sorted((headers(one)["target"], headers(one)["error-kind"]) for one in letters)
    assert by_reason == [
        ("archive", "alert-unreadable"), ("dead", "alert-given-up"), ("dead", "alert-given-up"),
        ("dead", "alert-given-up"), ("dead", "alert-unreadable"),
    ]  # fmt: skip
    assert {headers(one)["source-topic"] for one in letters} == {f"{stream.prefix}.alerts"}
    log = deliverer.log_path.read_text()
    assert "open sesame" not in log
    with Deliverer(stream, tmp_path, targets) as again:
        again.wait_ready()
        publish(stream, [alert_record(cascade="new")])
        wait_until(lambda: told.taken[-1][1]["cascade"] == "new", "told of the new one")
        assert len(told.taken) == len(records) + 1, "nothing is told twice"
        assert again.terminate() == 0


def shares_of(stream: Stream, target: str) -> list[int]:
    """How many partitions each process of a target has, ascending; none as long as nobody can tell."""
    from confluent_kafka import ConsumerGroupState, KafkaException
    from confluent_kafka.admin import AdminClient

    admin, group = AdminClient({"bootstrap.servers": stream.bootstrap_servers}), f"{stream.app_id}-deliver-{target}"
    try:
        found = admin.describe_consumer_groups([group], request_timeout=10.0)[group].result()
    except KafkaException:  # a broker that has just started may not have its coordinator yet
        return []
    if found.state is not ConsumerGroupState.STABLE:
        return []
    return sorted(len(member.assignment.topic_partitions) for member in found.members)


def test_two_processes_share_a_target_and_tell_each_record_once(stream: Stream, told: Service, tmp_path: Path) -> None:
    """The records come once the group has settled: while partitions are dealt out anew a record may be told again."""
    targets = f'[targets.archive]\ntype = "webhook"\nurl = "{told.url}"\nstart = "beginning"\n'
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    records = [alert_record(cascade=f"c{n}") for n in range(40)]
    with Deliverer(stream, tmp_path / "a", targets) as first, Deliverer(stream, tmp_path / "b", targets) as second:
        wait_until(lambda: shares_of(stream, "archive") == [1, 1], "a partition each")
        publish(stream, records)
        wait_until(lambda: len(told.taken) >= len(records), "told")
        wait_until(lambda: is_committed(stream, "archive"), "all done")
        delivered = 'cascadecast_delivery_records_total{fate="delivered",target="archive"}'
        parts = [process.metrics()[delivered] for process in (first, second)]
        assert [process.terminate() for process in (first, second)] == [0, 0]
    assert sorted(body["id"] for _, body in told.taken) == sorted(record.id for record in records)
    assert min(parts) > 0
    assert sum(parts) == len(records)


def test_the_configuration_we_ship_is_taken_by_alertmanager() -> None:
    shipped = Path(__file__).parents[2] / "deploy" / "alertmanager" / "alertmanager.yml"
    checked = subprocess.run(
        [debian_tool("amtool"), "check-config", str(shipped)], capture_output=True, text=True, timeout=60, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "2 inhibit rules" in checked.stdout


def test_what_is_wrong_is_one_line_and_exit_code_2(kafka: EmbeddedBroker, topic_prefix: str, tmp_path: Path) -> None:
    absent = Stream(kafka.bootstrap_servers, topic_prefix)
    targets = '[targets.a]\ntype = "webhook"\nurl = "http://127.0.0.1:1/"\n'
    without_topics = Deliverer(absent, tmp_path, targets).run()
    assert without_topics.returncode == 2
    assert without_topics.stderr.count("\n") == 1
    assert (
        f"lacks {topic_prefix}.alerts: cascadecast topics create --topic-prefix {topic_prefix}" in without_topics.stderr
    )
