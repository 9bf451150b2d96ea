"""``cascadecast topics create | check | repartition``: the topics as declared in `streams.kafka.topics`."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated

import typer

from streams.kafka.clients import BOOTSTRAP_ENV, FALLBACK_BOOTSTRAP_SERVERS, PREFIX_ENV

Bootstrap = Annotated[str, typer.Option("--bootstrap-servers", envvar=BOOTSTRAP_ENV, help="The Kafka cluster.")]
Partitions = Annotated[int, typer.Option(min=1, help="Partitions of each topic.")]
Replication = Annotated[
    int | None, typer.Option(min=1, help="Copies of each partition.  [default: up to 3, one a broker]")
]
Prefix = Annotated[str, typer.Option("--topic-prefix", envvar=PREFIX_ENV, help="First part of the topics' names.")]
AppId = Annotated[
    str, typer.Option(envvar="CASCADECAST_APP_ID", help="The workers' app id: their changelogs are looked at too.")
]
FALLBACK_APP_ID = "cascadecast"
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(help="Create and check the Kafka topics as declared.", no_args_is_help=True)
    group.command()(create)
    group.command()(check)
    group.command()(repartition)
    app.add_typer(group, name="topics")


def create(
    bootstrap_servers: Bootstrap = FALLBACK_BOOTSTRAP_SERVERS,
    partitions: Partitions = 8,
    replication: Replication = None,
    topic_prefix: Prefix = "social",
    amend: Annotated[bool, typer.Option("--amend", help="Also set existing topics' settings as declared.")] = False,
    app_id: AppId = FALLBACK_APP_ID,
    json: Json = False,
) -> None:
    """Create the topics that are missing; what exists is left as it is unless --amend is given."""
    from streams.kafka.topics import create_topics, declared_topics

    began = time.monotonic()
    specs = declared_topics(partitions, replication, topic_prefix)
    report = create_topics(bootstrap_servers, specs, amend=amend, app_id=app_id)
    if json:
        from streams.cli.results import print_result

        rows = [{"topic": name, "state": "created"} for name in report.created]
        rows += [{"topic": name, "state": "existing"} for name in report.existing]
        rows += [{"topic": one.topic, "state": "amended", one.what: one.wanted} for one in report.amended]
        print_result("topics create", time.monotonic() - began, rows)
        return
    for name in report.created:
        typer.echo(f"created   {name}")
    for name in report.existing:
        typer.echo(f"exists    {name}")
    for one in report.amended:
        typer.echo(f"amended   {one.topic}: {one.what} {one.found} -> {one.wanted}")


def check(
    bootstrap_servers: Bootstrap = FALLBACK_BOOTSTRAP_SERVERS,
    partitions: Annotated[
        int | None, typer.Option(min=1, help="Partitions of each topic.  [default: as the events topic has]")
    ] = None,
    replication: Replication = None,
    topic_prefix: Prefix = "social",
    app_id: AppId = FALLBACK_APP_ID,
    json: Json = False,
) -> None:
    """Compare the cluster with the declaration; exit code 1 when anything differs."""
    from streams.kafka.topic_checks import check_topics
    from streams.kafka.topics import DEFAULT_PARTITIONS, TopicsError, declared_topics, partition_count

    began = time.monotonic()
    if partitions is None:
        try:
            partitions = partition_count(bootstrap_servers, f"{topic_prefix}.events")
        except TopicsError:  # missing, which is a finding of its own
            partitions = DEFAULT_PARTITIONS
    specs = declared_topics(partitions, replication, topic_prefix)
    defects = check_topics(bootstrap_servers, specs, app_id=app_id)
    if json:
        from streams.cli.results import print_result

        print_result("topics check", time.monotonic() - began, [asdict(defect) for defect in defects])
    else:
        for one in defects:
            typer.echo(f"{one.topic}: {one.what} is {one.found}, should be {one.wanted}; mend: {one.mend}")
        if not defects:
            typer.echo(f"all topics of {topic_prefix} and all changelogs of {app_id} are as declared")
    if defects:
        raise typer.Exit(1)


def repartition(
    to_prefix: Annotated[str, typer.Option(help="Prefix of the topics that take over.")],
    partitions: Annotated[int, typer.Option(min=1, help="Partitions of each of them.")],
    bootstrap_servers: Bootstrap = FALLBACK_BOOTSTRAP_SERVERS,
    replication: Replication = None,
    topic_prefix: Prefix = "social",
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes, until Ctrl-C.")] = False,
    json: Json = False,
) -> None:
    """Copy the events to new topics with another number of partitions (deploy/runbook.md has the whole procedure)."""
    from dataclasses import asdict

    from streams.cli.progress import counting
    from streams.cli.signals import stopping_on_signals
    from streams.kafka.topics import create_topics, declared_topics
    from streams.replay.repartition import repartition as copy

    create_topics(bootstrap_servers, declared_topics(partitions, replication, to_prefix))
    with stopping_on_signals() as (stop, received), counting("copied", "left") as shown:
        done = copy(
            bootstrap_servers,
            topic_prefix,
            to_prefix,
            follow=follow,
            stop=stop,
            progress=lambda copied, left: shown.show(copied=copied, left=left),
        )
    if json:
        from streams.cli.results import print_result

        print_result("topics repartition", done.seconds, [asdict(done)])
    else:
        typer.echo(
            f"{done.copied:,} records copied to {to_prefix}.events in {done.seconds:.1f} s; {done.rekeyed:,} of them "
            f"came under another key, {done.no_events:,} are no event"
        )
    if received and not follow:
        raise typer.Exit(128 + received[0])
