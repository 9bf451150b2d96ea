"""Topics on a real cluster: created once, and every way of being wrong is found with its mend."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from zlib import crc32

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType

from streams.broker import EmbeddedBroker
from streams.kafka.partitioner import partition_of
from streams.kafka.topic_checks import check_topics
from streams.kafka.topics import TopicsError, create_topics, declared_topics, partition_count
from streams.replay.repartition import repartition


def make(kafka: EmbeddedBroker, *topics: NewTopic) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    for answer in admin.create_topics(list(topics)).values():
        answer.result(10)
    while not {topic.topic for topic in topics} <= admin.list_topics(timeout=10).topics.keys():
        time.sleep(0.05)


def configure(kafka: EmbeddedBroker, topic: str, key: str, value: str) -> None:
    entry = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    for answer in admin.incremental_alter_configs([resource]).values():
        answer.result(10)
    asked = ConfigResource(ResourceType.TOPIC, topic)
    while admin.describe_configs([asked])[asked].result(10)[key].value != value:
        time.sleep(0.05)


def test_created_topics_are_as_declared_and_creating_again_changes_nothing(
    kafka: EmbeddedBroker, topic_prefix: str
) -> None:
    specs = declared_topics(3, prefix=topic_prefix)
    names = [spec.name for spec in specs]
    assert sorted(create_topics(kafka.bootstrap_servers, specs).created) == sorted(names)
    assert check_topics(kafka.bootstrap_servers, specs) == []
    again = create_topics(kafka.bootstrap_servers, specs)
    assert (again.created, again.existing) == ([], names)
    assert check_topics(kafka.bootstrap_servers, specs) == []
    assert partition_count(kafka.bootstrap_servers, names[0]) == 3


def test_every_defect_is_found(kafka: EmbeddedBroker, topic_prefix: str) -> None:
    specs = declared_topics(3, prefix=topic_prefix)
    create_topics(kafka.bootstrap_servers, specs[1:-1])
    make(kafka, NewTopic(specs[-1].name, 2, 1, config=specs[-1].settings(1)))
    configure(kafka, specs[1].name, "retention.ms", "1000")
    configure(kafka, specs[2].name, "cleanup.policy", "compact")
    configure(kafka, specs[3].name, "max.message.bytes", "2000")
    configure(kafka, specs[4].name, "max.message.bytes", "5000000")  # larger does no harm
    found = {(defect.topic, defect.what) for defect in check_topics(kafka.bootstrap_servers, specs)}
    assert found == {
        (specs[0].name, "topic"),
        (specs[1].name, "retention.ms"),
        (specs[2].name, "cleanup.policy"),
        (specs[3].name, "max.message.bytes"),
        (specs[-1].name, "partitions"),
    }
    wanted = declared_topics(3, replication=2, prefix=topic_prefix)
    copies = [one for one in check_topics(kafka.bootstrap_servers, wanted) if one.what == "replication"]
    assert {(one.found, one.wanted) for one in copies} == {("1", "2")}
    assert len(copies) == len(specs) - 1


def test_events_of_a_producer_that_parts_otherwise_are_found_and_can_be_mended(
    kafka: EmbeddedBroker, topic_prefix: str
) -> None:
    specs = declared_topics(4, prefix=topic_prefix)
    create_topics(kafka.bootstrap_servers, specs)
    produce_posts(kafka, specs[0].name, "murmur2_random", range(300))
    assert check_topics(kafka.bootstrap_servers, specs) == []
    produce_posts(kafka, specs[0].name, "consistent_random", range(300, 340))
    (found,) = check_topics(kafka.bootstrap_servers, specs)
    assert found.what == "partition of a key"
    elsewhere = sum(crc32(f"p{n}".encode()) % 4 != partition_of(f"p{n}", 4) for n in range(300, 340))
    assert found.found == f"{elsewhere} of the newest 340 events on others"
    placed = declared_topics(4, prefix=f"{topic_prefix}-placed")
    assert f"--to-prefix {topic_prefix}-placed --partitions 4" in found.mend
    create_topics(kafka.bootstrap_servers, placed)
    repartition(kafka.bootstrap_servers, topic_prefix, f"{topic_prefix}-placed")
    assert check_topics(kafka.bootstrap_servers, placed) == []


def produce_posts(kafka: EmbeddedBroker, topic: str, partitioner: str, numbers: range) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "partitioner": partitioner})
    for number in numbers:
        post = {"id": f"p{number}", "cascade": f"p{number}", "kind": "post", "time": 1_700_000_000 + number}
        producer.produce(topic, json.dumps(post), f"p{number}")
    assert producer.flush(30) == 0


def test_amend_sets_settings_but_never_partitions(kafka: EmbeddedBroker, topic_prefix: str) -> None:
    specs = declared_topics(2, prefix=topic_prefix)
    create_topics(kafka.bootstrap_servers, specs)
    configure(kafka, specs[1].name, "retention.ms", "1000")
    report = create_topics(kafka.bootstrap_servers, specs, amend=True)
    assert [(one.topic, one.what) for one in report.amended] == [(specs[1].name, "retention.ms")]
    assert check_topics(kafka.bootstrap_servers, specs) == []
    wider = declared_topics(4, prefix=topic_prefix)
    create_topics(kafka.bootstrap_servers, wider, amend=True)
    assert {one.what for one in check_topics(kafka.bootstrap_servers, wider)} == {"partitions"}


def test_record_times_of_the_producer_are_found_and_mended_by_the_command_that_is_named(
    kafka: EmbeddedBroker, topic_prefix: str
) -> None:
    specs = declared_topics(2, prefix=topic_prefix)
    create_topics(kafka.bootstrap_servers, specs)
    configure(kafka, specs[0].name, "message.timestamp.type", "CreateTime")
    (found,) = check_topics(kafka.bootstrap_servers, specs, app_id="app")
    assert (found.what, found.found, found.wanted) == ("message.timestamp.type", "CreateTime", "LogAppendTime")
    mended = subprocess.run(
        [sys.executable, "-m", "streams.cli", *found.mend.split()[1:]], capture_output=True, text=True
    )
    assert (mended.returncode, mended.stderr) == (0, "")
    assert check_topics(kafka.bootstrap_servers, specs, app_id="app") == []


def test_changelogs_must_match_the_events_topic_and_be_kept_as_safely(kafka: EmbeddedBroker, topic_prefix: str) -> None:
    specs = declared_topics(3, prefix=topic_prefix)
    create_topics(kafka.bootstrap_servers, specs)
    app = f"{topic_prefix}-app"
    compacted = {"cleanup.policy": "compact"}
    make(
        kafka,
        NewTopic(f"{app}-good-changelog", 3, 1, config=compacted),
        NewTopic(f"{app}-narrow-changelog", 1, 1, config=compacted),
        NewTopic(f"{app}-forgetful-changelog", 3, 1, config={"cleanup.policy": "delete"}),
        NewTopic(f"{app}-tight-changelog", 3, 1, config=compacted | {"max.message.bytes": "1000"}),
        NewTopic(f"other-{app}-narrow-changelog", 1, 1),
    )
    found = {(one.topic, one.what) for one in check_topics(kafka.bootstrap_servers, specs, app_id=app)}
    assert found == {
        (f"{app}-narrow-changelog", "partitions"),
        (f"{app}-forgetful-changelog", "cleanup.policy"),
        (f"{app}-tight-changelog", "max.message.bytes"),
    }
    create_topics(kafka.bootstrap_servers, specs, amend=True, app_id=app)
    left = {(one.topic, one.what) for one in check_topics(kafka.bootstrap_servers, specs, app_id=app)}
    assert left == {(f"{app}-narrow-changelog", "partitions")}


def test_the_check_command_says_what_is_wrong_and_ends_with_1(kafka: EmbeddedBroker, topic_prefix: str) -> None:
    specs = declared_topics(3, prefix=topic_prefix)
    create_topics(kafka.bootstrap_servers, specs)
    command = [sys.executable, "-m", "streams.cli", "topics", "check", "--json", "--topic-prefix", topic_prefix]
    command += ["--bootstrap-servers", kafka.bootstrap_servers]
    well = subprocess.run(command, capture_output=True, text=True)
    assert (well.returncode, json.loads(well.stdout)["results"]) == (0, [])
    wider = subprocess.run([*command, "--partitions", "5"], capture_output=True, text=True)
    found = json.loads(wider.stdout)["results"]
    assert wider.returncode == 1
    assert {one["what"] for one in found} == {"partitions"}
    mends = {one["topic"].removeprefix(f"{topic_prefix}."): one["mend"] for one in found}
    assert mends["events"].startswith("cascadecast topics repartition ")
    assert mends["forecasts"] == (
        f"kafka-topics.sh --bootstrap-server {kafka.bootstrap_servers} --alter --topic {topic_prefix}.forecasts "
        "--partitions 5"
    )


def test_a_missing_topic_and_an_impossible_request_are_the_users_errors(
    kafka: EmbeddedBroker, topic_prefix: str
) -> None:
    with pytest.raises(TopicsError, match=f"cascadecast topics create --topic-prefix {topic_prefix}$"):
        partition_count(kafka.bootstrap_servers, f"{topic_prefix}.events")
    with pytest.raises(TopicsError, match=f"refused topic {topic_prefix}"):
        create_topics(kafka.bootstrap_servers, declared_topics(1, replication=5, prefix=topic_prefix))
