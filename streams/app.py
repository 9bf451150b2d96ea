"""The Faust app: topics, the table of segments, the ingesting agent, the web pages, start and drain."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable
from functools import partial
from typing import Any, Final

import faust
import structlog

from streams.alerts.rule_file import load_rules
from streams.alerts.rule_watch import RuleWatch
from streams.alerts.rules import RuleBook
from streams.engine.inference import ForecastService
from streams.engine.lineup_loading import LineupLoader
from streams.engine.raw_record import Record
from streams.kafka.control_records import read_control
from streams.kafka.event_ends import KafkaEventEnds
from streams.kafka.groups import committed_reader
from streams.metrics import WorkerMetrics
from streams.settings import Settings
from streams.state.distrust import Distrust
from streams.supervision.watchdog import Limits
from streams.supervision.watchdog_thread import Watchdog
from streams.web.access import Access
from streams.web.live import LiveAnswers
from streams.web.pages import add_pages
from streams.web.peers import Peers, advertised_url
from streams.web.reader import LiveReader
from streams.web.routes import add_routes
from streams.web.tokens import may_read
from streams.worker import huge_pages
from streams.worker.batched_transport import BatchedTransport, Fetched
from streams.worker.careful_transport import CarefulTransport
from streams.worker.core import IDLE_CHECK_SECONDS, WorkerCore
from streams.worker.faust_clients import (
    MAX_REQUEST_BYTES,
    FaustOwners,
    FaustPublisher,
    FaustSource,
    transactional_producers,
)
from streams.worker.faust_internals import BoundedWorker, FaustChangelogs, TableSegmentStore, local_copy
from streams.worker.flow_control import KeepingFlowControl
from streams.worker.gathering import Gathering
from streams.worker.heartbeat import Heartbeats
from streams.worker.model_watch import ModelWatch
from streams.worker.outputs import TransactionalOutputs

log = structlog.get_logger("cascadecast.app")

EXIT_FAULT: Final = 70
"""EX_SOFTWARE: the worker met something it must not go on from; an orchestrator restarts it, and it recovers."""

METADATA_SECONDS: Final = 30
"""At most so old is what the leader of the group knows of topics. Where a broker that comes back told it of none, it
gives nobody a partition until it looks again: a client left to itself does so after five minutes."""

SHUTDOWN_SLACK_SECONDS: Final = 10.0
"""For leaving the group and closing files after the drain."""

GATHERED_BATCHES: Final = 8
"""Times ``batch_max_events``: so many records, of all partitions, make a micro-batch when there is much to do."""

DELIVERY_SECONDS: Final = 0.005
"""Longer than the framework takes to deliver the messages of one gathering one after the other."""

ROCKSDB_OPTIONS: Final = {
    "driver": "rocksdict",
    # One database a partition: Faust's defaults (3 x 64 MiB buffers, a 2 GiB cache) are for one big table. Buffers take
    # minutes to fill, during which memory grows; a segment is read once in its life, so there is little to cache.
    "write_buffer_size": 1024 * 1024,
    "max_write_buffer_number": 2,
    "target_file_size_base": 16 * 1024 * 1024,
    "block_cache_size": 1024 * 1024,
    "max_open_files": 64,
}


def build_app(
    settings: Settings,
    service: ForecastService,
    loader: LineupLoader,
    partitions: int,
    replication: int,
    log_handler: logging.Handler,
) -> faust.App:
    """The app of one worker; it asks ``loader`` for newer models. ``partitions`` is the source topic's count, which the
    changelog must match."""
    app = faust.App(
        settings.app_id,
        broker=";".join(f"kafka://{server.strip()}" for server in settings.bootstrap_servers.split(",")),
        broker_credentials=settings.kafka_security().faust_credentials(),
        store="rocksdb://",
        datadir=str(settings.data_dir.absolute()),
        topic_partitions=partitions,
        topic_replication_factor=replication,
        topic_disable_leader=True,
        broker_commit_interval=settings.commit_interval_seconds,
        broker_session_timeout=settings.session_timeout_seconds,
        broker_heartbeat_interval=settings.session_timeout_seconds / 6,
        broker_max_poll_records=settings.batch_max_events,
        stream_buffer_maxsize=2 * (partitions if settings.batched_delivery else settings.batch_max_events),
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        table_standby_replicas=settings.standby_replicas,
        consumer_group_instance_id=settings.instance_id,
        producer_acks=-1,
        producer_compression_type="zstd",
        producer_linger=0.005,
        producer_max_batch_size=131_072,
        producer_max_request_size=MAX_REQUEST_BYTES,
        producer_request_timeout=settings.delivery_timeout_seconds,
        consumer_auto_offset_reset="earliest",
        consumer_metadata_max_age_ms=METADATA_SECONDS * 1000,
        Worker=BoundedWorker,
        web_host=settings.http_host,
        web_port=settings.http_port,
        web_bind=settings.http_host,
        canonical_url=advertised_url(settings),
        web_stats_enabled=False,
        web_graph_enabled=False,
        web_router_enabled=False,
        web_tables_enabled=False,
        web_metrics_enabled=False,
        worker_redirect_stdouts=False,
        # Faust empties the root logger and fills it from these: our handler, nothing of its own.
        logging_config={"version": 1, "disable_existing_loggers": False},
        loghandlers=[log_handler],
    )
    app.flow_control = KeepingFlowControl()
    BoundedWorker.on_fault = _die
    BoundedWorker.shutdown_seconds = settings.drain_timeout_seconds + SHUTDOWN_SLACK_SECONDS
    source = app.topic(
        f"{settings.topic_prefix}.events",
        key_serializer="raw",
        value_serializer="raw",
        key_type=bytes,
        value_type=bytes,
        internal=False,
        allow_empty=True,
    )
    table = app.Table(
        "segments",
        key_type=bytes,
        value_type=bytes,
        partitions=partitions,
        options=dict(ROCKSDB_OPTIONS),
        help="Delta segments of the live cascades; see streams/state/log.py",
    )
    distrust = Distrust(settings.data_dir)
    distrust.remove_copies(partial(local_copy, table))
    metrics = WorkerMetrics()
    book = RuleBook()
    rule_watch = None
    if settings.alert_rules is not None:
        load = partial(load_rules, horizon_seconds=settings.horizon_seconds, models_dir=settings.models_dir)
        rule_watch = RuleWatch(settings.alert_rules, book, metrics, load)
    publisher = FaustPublisher(app, settings.topic_prefix)
    heartbeats = Heartbeats(publisher.heartbeat, metrics.heartbeat) if settings.heartbeat_seconds > 0 else None
    core = WorkerCore(
        settings,
        service,
        publisher,
        FaustSource(app, source.get_topic_name(), partial(KafkaEventEnds, settings)),
        lambda number: TableSegmentStore(table, number, distrust),
        metrics,
        _transactions(settings) if settings.processing_guarantee == "exactly_once" else None,
        book,
        heartbeats,
    )
    app.cascadecast = core
    if settings.batched_delivery:
        gathering = Gathering(core.intake, settings.batch_within_seconds, GATHERED_BATCHES * settings.batch_max_events)
        app.transport = BatchedTransport(app, source.get_topic_name(), core.state_end, core.committed, gathering)
    else:
        app.transport = CarefulTransport(app.conf.broker_consumer, app)
    _add_agent(app, core, source, settings, partitions)
    changelogs = FaustChangelogs(app)
    watchdog = Watchdog(
        core,
        lambda: (changelogs.rebalances(), changelogs.records_remaining(), len(core.to_recover)),
        KafkaEventEnds(settings),
        Limits(settings.watchdog_loop_seconds, settings.watchdog_stall_seconds),
        holds_input_back=settings.shed is not True,
    )
    _add_lifecycle(app, core, source, changelogs)
    _add_watchdog(app, watchdog)
    _add_huge_pages(app)
    _add_model_watch(app, ModelWatch(loader, service, metrics), settings.models_poll_seconds)
    if heartbeats is not None:
        _add_heartbeats(app, heartbeats, core, settings.heartbeat_seconds)
    if rule_watch is not None:
        _add_rule_watch(app, rule_watch, core, settings.alert_rules_poll_seconds)
    add_pages(app, core, changelogs, watchdog, settings.http_secret())
    _add_live_page(app, core, settings, partitions, table)
    return app


def _transactions(settings: Settings) -> TransactionalOutputs:
    return TransactionalOutputs(
        transactional_producers(settings), committed_reader(settings), settings.app_id, settings.topic_prefix
    )


def _add_agent(app: faust.App, core: WorkerCore, source: faust.TopicT, settings: Settings, partitions: int) -> None:
    topic = source.get_topic_name()
    batched = settings.batched_delivery
    at_most, within = settings.batch_max_events, settings.batch_within_seconds
    if batched:  # gathered already: a message for each partition that has any records
        at_most, within = partitions, DELIVERY_SECONDS

    @app.agent(source, name="ingest")
    async def ingest(stream: faust.StreamT) -> None:
        async for events in stream.take_events(at_most, within=within):
            batches: dict[int, list[Record]] = {}
            for event in events:
                message = event.message
                arrived = _records(message.value) if batched else [_record(message)]
                batches.setdefault(message.partition, []).extend(arrived)
            try:
                await core.ingest(batches, topic)
            except asyncio.CancelledError:
                raise
            except Exception as error:
                # Faust would skip the batch and go on: records lost. Dying instead loses nothing.
                _die(error)


def _records(fetched: Fetched) -> list[Record]:
    return [
        Record(record.value or b"", record.key, None, record.offset, record.timestamp / 1000.0)
        if not record.headers
        else _with_headers(record, record.headers, record.timestamp / 1000.0)
        for record in fetched
    ]


def _record(message: Any) -> Record:
    headers = message.headers
    return _with_headers(message, headers.items() if isinstance(headers, dict) else headers, message.timestamp)


def _with_headers(record: Any, headers: Iterable[tuple[str, bytes]] | None, timestamp: float) -> Record:
    said = read_control(headers)
    return Record(record.value or b"", record.key, said.watermark, record.offset, timestamp, said.heartbeat)


def _die(error: BaseException) -> None:
    log.critical("the worker cannot go on and exits; its restart recovers", exc_info=error)
    os._exit(EXIT_FAULT)


def _add_lifecycle(app: faust.App, core: WorkerCore, source: faust.TopicT, changelogs: FaustChangelogs) -> None:
    topic = source.get_topic_name()

    @app.on_rebalance_complete.connect
    async def take_over(sender: Any, **_: Any) -> None:
        del sender
        rebalances = changelogs.rebalances()
        numbers = {tp.partition for tp in app.consumer.assignment() if tp.topic == topic}
        try:
            await core.own(numbers, lambda: changelogs.rebalances() == rebalances)
        except Exception as error:
            _die(error)
        core.ready = changelogs.rebalances() == rebalances
        if core.ready:
            log.info("ready", partitions=sorted(numbers))

    @app.on_partitions_revoked.connect
    async def step_back(sender: Any, revoked: set[faust.types.TP], **_: Any) -> None:
        del sender, revoked
        core.ready = False

    @app.on_before_shutdown.connect
    async def finish(sender: Any, **_: Any) -> None:
        del sender
        await core.drain()

    @app.task
    async def forecasts() -> None:
        try:
            await core.run_forecasts()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            _die(error)

    @app.timer(IDLE_CHECK_SECONDS)
    async def clock() -> None:
        await core.tick()


def _add_watchdog(app: faust.App, watchdog: Watchdog) -> None:
    BoundedWorker.on_loop = watchdog.start

    @app.on_before_shutdown.connect
    async def end(sender: Any, **_: Any) -> None:
        del sender
        watchdog.stop()


def _add_huge_pages(app: faust.App) -> None:
    @app.timer(huge_pages.EVERY_SECONDS)
    async def collapse() -> None:
        await asyncio.to_thread(huge_pages.collapse)


def _add_live_page(app: faust.App, core: WorkerCore, settings: Settings, partitions: int, table: faust.Table) -> None:
    token = settings.http_secret()
    owners = FaustOwners(app, table)
    peers = Peers(owners.urls, lambda: set(core.assigned), token)
    answers = LiveAnswers(LiveReader(core, partitions, settings.horizon_seconds), peers)
    add_routes(app.web.web_app, answers, Access(lambda given: may_read(given, token), settings.http_host))

    @app.on_before_shutdown.connect
    async def end(sender: Any, **_: Any) -> None:
        del sender
        await peers.close()


def _add_model_watch(app: faust.App, watch: ModelWatch, poll_seconds: float) -> None:
    @app.task
    async def follow_the_model_store() -> None:
        await watch.run(poll_seconds)


def _add_heartbeats(app: faust.App, heartbeats: Heartbeats, core: WorkerCore, every_seconds: float) -> None:
    @app.timer(every_seconds)
    async def beat() -> None:
        if core.ready:
            heartbeats.beat(list(core.assigned))


def _add_rule_watch(app: faust.App, watch: RuleWatch, core: WorkerCore, poll_seconds: float) -> None:
    @app.task
    async def follow_the_alert_rules() -> None:
        await watch.run(poll_seconds, core.rules_changed)
