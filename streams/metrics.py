"""What the worker counts, for Prometheus: base units, bounded labels, never a cascade, user or post id.

The counts add up, at any instant and over any crash-free run:
received = the sum of the fates of ``cascadecast_events_total``;
due = made + skipped + in flight, and published by champions = made x champions - failed by champions (- withheld).
"""

from __future__ import annotations

import math
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from forecasters.blend import BlendForecaster
from forecasters.learning_ages import KNOTS
from graph import Departure, RejectReason
from streams.alerts.records import AlertState
from streams.alerts.rules import RuleSet
from streams.alerts.standings import Withheld
from streams.engine.blending import model_key
from streams.engine.changes import Fate
from streams.engine.due import Skipped
from streams.engine.lineup import Lineup
from streams.scoring.board import ScoreBoard
from streams.scoring.learned import Learned
from streams.scoring.learning import Unscored
from streams.scoring.scores import ScoreRecord
from streams.scoring.standing import Standing
from streams.worker.heartbeat import HeartbeatMetrics
from streams.worker.progress import OutputKind

LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""From a small batch's service time to the point at which a forecast is of no more use within the minute."""


FRESHNESS_BUCKETS = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
"""Of event time: from a short forecast_delay_seconds to where a partition no longer counts as live, and beyond."""


def _listed(values: type[StrEnum]) -> str:
    return ", ".join(value.value for value in values)


class WorkerMetrics:
    """The metrics of one worker, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._shown_models: set[tuple[str, str, str]] = set()
        self.received = Counter(
            "cascadecast_events_received", "Records taken from the events topic.", registry=self.registry
        )
        self.events = Counter(
            "cascadecast_events",
            f"Records by what became of them; every record meets exactly one fate: {_listed(Fate)}.",
            ["fate"],
            registry=self.registry,
        )
        self.late_applied = Counter(
            "cascadecast_events_behind_watermark",
            "Events applied although the watermark had passed them: later forecasts see them, earlier ones did not.",
            registry=self.registry,
        )
        self.ahead = Counter(
            "cascadecast_events_ahead_of_clock",
            "Events whose time lay so far ahead that the clock did not follow them when they came.",
            registry=self.registry,
        )
        self.counted_only = Counter(
            "cascadecast_events_counted_only",
            "Events of cascades beyond max_events_per_cascade: reshares are counted by the minute, no more.",
            registry=self.registry,
        )
        self.dead_letters = Counter(
            "cascadecast_dead_letters",
            f"Dead letters by reason: {_listed(RejectReason)}.",
            ["reason"],
            registry=self.registry,
        )
        self.rewinds = Counter(
            "cascadecast_rewinds", "Times that records passed over were asked for again.", registry=self.registry
        )
        self.missing = Counter(
            "cascadecast_offsets_missing",
            "Offsets of the events topic of which Kafka itself has no record: deleted before they were read, or "
            "marks of transactions.",
            registry=self.registry,
        )
        self.due = Counter("cascadecast_forecasts_due", "Forecasts that fell due.", registry=self.registry)
        self.skipped = Counter(
            "cascadecast_forecasts_skipped",
            f"Due forecasts not made, by reason: {_listed(Skipped)} (another worker has the partition and makes it).",
            ["reason"],
            registry=self.registry,
        )
        self.made = Counter(
            "cascadecast_forecasts_made",
            "Due forecasts that went through the models.",
            registry=self.registry,
        )
        self.failed = Counter(
            "cascadecast_forecasts_failed",
            "Forecasts a model could not make.",
            ["model", "role"],
            registry=self.registry,
        )
        self.supercritical = Counter(
            "cascadecast_forecasts_supercritical",
            "Forecasts of cascades for which the model has no finite answer.",
            ["model", "role"],
            registry=self.registry,
        )
        self.published = Counter(
            "cascadecast_forecasts_published",
            "Forecast records acknowledged by Kafka.",
            ["model", "role"],
            registry=self.registry,
        )
        self.withheld = Counter(
            "cascadecast_outputs_withheld",
            f"Outputs made again after a crash and not published again, with exactly_once only, by kind: "
            f"{_listed(OutputKind)}.",
            ["kind"],
            registry=self.registry,
        )
        self.backlog = Gauge(
            "cascadecast_forecasts_waiting", "Forecasts that are due and wait.", registry=self.registry
        )
        self.alerts = Counter(
            "cascadecast_alerts",
            "Alert records acknowledged by Kafka.",
            ["rule", "severity", "state"],
            registry=self.registry,
        )
        self.alerts_withheld = Counter(
            "cascadecast_alerts_withheld",
            "Posts that fulfilled a rule and opened no alert, once for each reason.",
            ["rule", "reason"],
            registry=self.registry,
        )
        self.alerts_open = Gauge(
            "cascadecast_alerts_open", "Alerts that are open now.", ["rule"], registry=self.registry
        )
        self.alert_latency = Histogram(
            "cascadecast_alert_latency_seconds",
            "Wall time from the broker's timestamp of the batch that made its forecast due to an alert's publication.",
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.rules = Gauge(
            "cascadecast_alert_rules_info",
            "The rules in force; the value is how many.",
            ["digest"],
            registry=self.registry,
        )
        self.rules_failures = Counter(
            "cascadecast_alert_rules_reload_failures",
            "Changed rules files that were refused; the rules in force stayed.",
            registry=self.registry,
        )
        self.latency = Histogram(
            "cascadecast_event_to_forecast_seconds",
            "Wall time from the broker's timestamp of the batch that made a forecast due to its publication.",
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.inference = Histogram(
            "cascadecast_inference_seconds",
            "Time of a model for one batch, preparation included.",
            ["model", "role"],
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.batch = Histogram(
            "cascadecast_batch_seconds",
            "Time of one micro-batch from its records to durable state.",
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.scores = Counter(
            "cascadecast_scores",
            "Forecasts whose truth became known, scored and published.",
            ["model", "version"],
            registry=self.registry,
        )
        self.unscored = Counter(
            "cascadecast_forecasts_unscored",
            f"Forecasts that were to be scored and could not be, by reason: {_listed(Unscored)}.",
            ["reason"],
            registry=self.registry,
        )
        self.blend_weight = Gauge(
            "cascadecast_blend_weight_ratio",
            "Weight of an expert in a blend at an age, as learned in a partition.",
            ["model", "expert", "age", "partition"],
            registry=self.registry,
        )
        self.population_share = Gauge(
            "cascadecast_population_share_ratio",
            "Share of the posts that resemble a population which models were trained on, as learned in a partition.",
            ["population", "partition"],
            registry=self.registry,
        )
        self.models = Gauge(
            "cascadecast_model_info",
            "Loaded models; always 1.",
            ["model", "version", "role"],
            registry=self.registry,
        )
        self.model_swaps = Counter(
            "cascadecast_model_swaps",
            "Times that a running worker put another version to use.",
            ["model", "role"],
            registry=self.registry,
        )
        self.model_load_failures = Counter(
            "cascadecast_model_load_failures",
            "Versions refused because they could not be loaded or failed their trial; the one in use stayed.",
            ["model", "role"],
            registry=self.registry,
        )
        self.watermark = Gauge(
            "cascadecast_watermark_timestamp_seconds",
            "Event time up to which forecasts are made.",
            ["partition"],
            registry=self.registry,
        )
        self.next_offset = Gauge(
            "cascadecast_next_offset",
            "Offset of the events topic at which the state goes on: the truth about lag. After a rebalance the group's "
            "committed offset may lie beyond records that are still to be read again, or stop behind what was.",
            ["partition"],
            registry=self.registry,
        )
        self.departed = Counter(
            "cascadecast_cascades_departed",
            f"Cascades that left memory, by why: {_listed(Departure)}.",
            ["reason"],
            registry=self.registry,
        )
        self.live_bytes = Gauge(
            "cascadecast_live_cascades_bytes",
            "Bytes of the cascades in memory, by the store's own books.",
            ["partition"],
            registry=self.registry,
        )
        self.live_cascades = Gauge(
            "cascadecast_live_cascades", "Cascades in memory.", ["partition"], registry=self.registry
        )
        self.state_bytes = Gauge(
            "cascadecast_state_stored_bytes",
            "Bytes of the durable state log.",
            ["partition"],
            registry=self.registry,
        )
        self.changelog_bytes = Counter(
            "cascadecast_changelog_bytes", "Bytes of durable state written.", registry=self.registry
        )
        self.recovery = Gauge(
            "cascadecast_recovery_seconds",
            "Time the last recovery of a partition's state took.",
            ["partition"],
            registry=self.registry,
        )
        self.recovery_records = Gauge(
            "cascadecast_recovery_records_remaining",
            "Records of the changelog still to be read before the state can be; 0 when none.",
            registry=self.registry,
        )
        self.recovery_partitions = Gauge(
            "cascadecast_recovery_partitions_remaining",
            "Partitions whose state is still to be read.",
            registry=self.registry,
        )
        self.standby_records = Gauge(
            "cascadecast_standby_records_remaining",
            "Records of other workers' changelogs that this worker's copies lack.",
            registry=self.registry,
        )
        self.lag_records = Gauge(
            "cascadecast_input_lag_records",
            "Records of the events topic that are not part of the state yet.",
            ["partition"],
            registry=self.registry,
        )
        self.lag_seconds = Gauge(
            "cascadecast_input_lag_seconds",
            "Age, by the broker's clock, of the last record taken in while more wait; 0 when none does.",
            ["partition"],
            registry=self.registry,
        )
        self.last_event = Gauge(
            "cascadecast_last_event_timestamp_seconds",
            "Broker's time of the last record taken in that was no heartbeat.",
            ["partition"],
            registry=self.registry,
        )
        self.heartbeat = HeartbeatMetrics(self.registry)
        self.freshness = Histogram(
            "cascadecast_forecast_age_seconds",
            "How old a forecast is when it is published, by event time; of live partitions only.",
            buckets=FRESHNESS_BUCKETS,
            registry=self.registry,
        )
        self.partitions = Gauge(
            "cascadecast_partitions", "Partitions of the events topic, over all workers.", registry=self.registry
        )
        self.memory_limit = Gauge(
            "cascadecast_live_cascades_limit_bytes",
            "Bound on the bytes of the cascades of one partition; beyond it cascades leave early.",
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)
        self.ready = Gauge("cascadecast_ready", "1 when assigned, recovered and loaded.", registry=self.registry)
        # There from the first scrape on, so that a rate can be told of the first one too.
        for rejected in RejectReason:
            self.dead_letters.labels(rejected.value)
        for departure in Departure:
            self.departed.labels(departure.value)
        for fate in Fate:
            self.events.labels(fate.value)
        for reason in Skipped:
            self.skipped.labels(reason.value)
        for why in Unscored:
            self.unscored.labels(why.value)
        for kind in OutputKind:
            self.withheld.labels(kind.value)

    def show_rules(self, rules: RuleSet) -> None:
        """Tell which rules are in force; each has its series from the first scrape on."""
        self.rules.clear()
        self.rules.labels(rules.digest).set(len(rules.rules))
        for rule in rules.rules:
            self.alerts_open.labels(rule.name)
            for state in AlertState:
                self.alerts.labels(rule.name, rule.severity.value, state.value)
            for why in Withheld:
                self.alerts_withheld.labels(rule.name, why.value)

    def show_open_alerts(self, partitions: Iterable[Tally[str]]) -> None:
        """Show how many alerts are open, by rule."""
        found = sum(partitions, Tally[str]())
        for (rule,) in list(self.alerts_open._metrics):
            self.alerts_open.labels(rule).set(found[rule])
        for rule, number in found.items():
            self.alerts_open.labels(rule).set(number)

    def observe_scores(self, records: Sequence[ScoreRecord]) -> None:
        """Count published scores."""
        for record in records:
            self.scores.labels(record.model, record.model_version).inc()

    def show_standing(self, look: Callable[[], Standing], lineup: Callable[[], Lineup]) -> None:
        """Show from now on how the models stand; both are asked at each scrape, which costs nothing between two."""
        self.registry.register(ScoreBoard(look, lineup))

    def show_weights(self, partition: int, lineup: Lineup, learned: Learned) -> None:
        """Show what each blend of the lineup weighs its experts at."""
        for _, model in lineup.members():
            if not isinstance(model, BlendForecaster):
                continue
            weights = learned.weights(model_key(model), model.prior) or model.weights
            for knot, row in zip(KNOTS, weights.weights, strict=True):
                for expert, weight in zip(model.experts, row, strict=True):
                    labels = (model.name, expert.forecaster.name, f"{knot / 60:g}m", str(partition))
                    self.blend_weight.labels(*labels).set(float(weight))

    def show_populations(self, partition: int, learned: Learned) -> None:
        """Show what the posts of a partition resemble, of all sources together."""
        counts = [of_source.counts for of_source in learned.votes.values()]
        total = math.fsum(count for one in counts for count in one.values())
        for population in {name for one in counts for name in one}:
            share = math.fsum(one.get(population, 0.0) for one in counts) / total
            self.population_share.labels(population, str(partition)).set(share)

    def render(self) -> bytes:
        """The exposition text of ``/metrics``."""
        return generate_latest(self.registry)

    def show_lineup(self, lineup: Lineup) -> None:
        """Tell which models are loaded, and no more of those that were."""
        loaded = {(model.name, model.version, role.value) for role, model in lineup.members()}
        for name, version, role in loaded:
            self.models.labels(name, version, role).set(1)
            self.model_swaps.labels(name, role)  # there from the first scrape on, so that a rate can be told
            self.model_load_failures.labels(name, role)
        for labels in self._shown_models - loaded:
            self.models.remove(*labels)
        self._shown_models = loaded

    def forget_partition(self, partition: int) -> None:
        """Drop the series of a partition that another worker owns now."""
        label = str(partition)
        for gauge in (
            self.watermark, self.next_offset, self.live_cascades, self.live_bytes, self.state_bytes, self.recovery,
            self.lag_records, self.lag_seconds, self.last_event,
        ):  # fmt: skip
            gauge.remove(label)
        for of_partition in (self.blend_weight, self.population_share):
            for labels in [labels for labels in of_partition._metrics if labels[-1] == label]:
                of_partition.remove(*labels)
