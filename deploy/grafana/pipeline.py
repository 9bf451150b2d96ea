"""Pipeline: do the workers live, keep up, and have what they need?"""

from __future__ import annotations

from deploy.grafana.board import Board, Row
from deploy.grafana.panels import ALL, JOB, WINDOW, Query, buckets, lines, number

PIPELINE = Board(
    "pipeline",
    "Pipeline",
    "From the events topic to published forecasts: workers, lag, losses, cost and state.",
    [
        Row(
            "Workers",
            "is everything up?",
            [
                number(
                    "Workers up",
                    "Workers that answer Prometheus.",
                    "none",
                    Query(f"sum(up{{{ALL}}})"),
                    alarm=1,
                    below=True,
                ),
                number(
                    "Ready",
                    "Workers that are assigned, recovered and loaded.",
                    "none",
                    Query(f"sum(cascadecast_ready{{{ALL}}})"),
                    alarm=1,
                    below=True,
                ),
                number(
                    "Partitions without a worker",
                    "Their posts get no forecasts.",
                    "none",
                    Query(
                        f"max(cascadecast_partitions{{{JOB}}}) - "
                        f"(count(count by (partition) (cascadecast_next_offset{{{JOB}}})) or vector(0))"
                    ),
                    alarm=1,
                ),
                number(
                    "Starts in 24 h",
                    "How often workers were started anew.",
                    "none",
                    Query(f"sum(changes(process_start_time_seconds{{{ALL}}}[24h]))"),
                    1,
                    5,
                ),
                number(
                    "Models loaded",
                    "Versions in use, champions and challengers.",
                    "none",
                    Query(f"count(count by (model, version) (cascadecast_model_info{{{ALL}}}))"),
                    alarm=1,
                    below=True,
                ),
                number(
                    "Oldest input waiting",
                    "Age of the last event taken in on the partition that is farthest behind.",
                    "s",
                    Query(f"max(cascadecast_input_lag_seconds{{{ALL}}})"),
                    60,
                    600,
                ),
            ],
        ),
        Row(
            "Flow",
            "do the workers keep up?",
            [
                lines(
                    "Events a second",
                    "Records by what became of them; every record meets exactly one fate.",
                    "eps",
                    Query(f"sum by (fate) (rate(cascadecast_events_total{{{ALL}}}[{WINDOW}]))", "{{fate}}"),
                    stacked=True,
                ),
                lines(
                    "Records waiting",
                    "Not part of the state yet, by partition.",
                    "short",
                    Query(f"sum by (partition) (cascadecast_input_lag_records{{{ALL}}})", "partition {{partition}}"),
                ),
                lines(
                    "Lag",
                    "Age of the last event taken in while more wait. A lag that shrinks needs no one.",
                    "s",
                    Query(f"max by (instance) (cascadecast_input_lag_seconds{{{ALL}}})", "{{instance}}"),
                    alarm=600,
                ),
            ],
        ),
        Row(
            "Input",
            "is what comes in any good?",
            [
                lines(
                    "Dead letters a second",
                    "Records that are no events, by reason; the originals are on the dead-letter topic.",
                    "cps",
                    Query(
                        f"sum by (reason) (rate(cascadecast_dead_letters_total{{{ALL}}}[{WINDOW}])) or vector(0)",
                        "{{reason}}",
                    ),
                ),
                lines(
                    "Times that lie",
                    "Events behind the watermark, ahead of the clock, and read again after a rebalance.",
                    "cps",
                    Query(
                        f"sum(rate(cascadecast_events_behind_watermark_total{{{ALL}}}[{WINDOW}]))",
                        "behind the watermark",
                    ),
                    Query(
                        f"sum(rate(cascadecast_events_ahead_of_clock_total{{{ALL}}}[{WINDOW}]))", "ahead of the clock"
                    ),
                    Query(f"sum(rate(cascadecast_rewinds_total{{{ALL}}}[{WINDOW}]))", "rewinds"),
                ),
                lines(
                    "Stream time behind the wall clock",
                    "How old the events are by their own times; a replay shows its past.",
                    "s",
                    Query(
                        f"time() - max by (instance) (cascadecast_watermark_timestamp_seconds{{{ALL}}})", "{{instance}}"
                    ),
                ),
            ],
        ),
        Row(
            "Forecasts",
            "how soon are they out?",
            [
                buckets(
                    "Event to forecast",
                    "From the broker's timestamp of the batch that made a forecast due to its publication.",
                    "s",
                    Query(f"sum by (le) (increase(cascadecast_event_to_forecast_seconds_bucket{{{ALL}}}[{WINDOW}]))"),
                ),
                lines(
                    "Forecasts",
                    "Due, made, and left out by reason; what is superseded gave way to a later one of the same post.",
                    "cps",
                    Query(f"sum(rate(cascadecast_forecasts_due_total{{{ALL}}}[{WINDOW}]))", "due"),
                    Query(f"sum(rate(cascadecast_forecasts_made_total{{{ALL}}}[{WINDOW}]))", "made"),
                    Query(
                        f"sum by (reason) (rate(cascadecast_forecasts_skipped_total{{{ALL}}}[{WINDOW}]))",
                        "skipped: {{reason}}",
                    ),
                ),
                lines(
                    "Forecasts waiting",
                    "Due and not made yet.",
                    "short",
                    Query(f"sum by (instance) (cascadecast_forecasts_waiting{{{ALL}}})", "{{instance}}"),
                ),
            ],
        ),
        Row(
            "Heartbeat",
            "is the whole way open?",
            [
                lines(
                    "Since the last heartbeat",
                    "That went the whole way, by partition: from the events topic to the outputs.",
                    "s",
                    Query(
                        f"time() - max by (partition) (cascadecast_heartbeat_last_success_timestamp_seconds{{{ALL}}})",
                        "partition {{partition}}",
                    ),
                    alarm=600,
                ),
                lines(
                    "Heartbeat, nine in ten",
                    "Take less from their sending until Kafka had them, they were durable, and what was due was out.",
                    "s",
                    Query(
                        f"histogram_quantile(0.9, sum by (stage, le) "
                        f"(rate(cascadecast_heartbeat_seconds_bucket{{{ALL}}}[{WINDOW}])))",
                        "{{stage}}",
                    ),
                ),
                lines(
                    "Heartbeats lost",
                    "By reason; refused means that the worker may not write to the events topic and sends none.",
                    "cps",
                    Query(
                        f"sum by (reason) (rate(cascadecast_heartbeats_lost_total{{{ALL}}}[{WINDOW}]))", "{{reason}}"
                    ),
                ),
            ],
        ),
        Row(
            "Cost",
            "where does the time go?",
            [
                lines(
                    "Processor",
                    "Cores in use by each worker.",
                    "none",
                    Query(f"rate(process_cpu_seconds_total{{{ALL}}}[{WINDOW}])", "{{instance}}"),
                ),
                lines(
                    "Inference",
                    "Mean time of a model for one batch, preparation included.",
                    "s",
                    Query(
                        f"sum by (model, role) (rate(cascadecast_inference_seconds_sum{{{ALL}}}[{WINDOW}]))"
                        f" / sum by (model, role) (rate(cascadecast_inference_seconds_count{{{ALL}}}[{WINDOW}]))",
                        "{{model}} ({{role}})",
                    ),
                ),
                lines(
                    "Micro-batch",
                    "Nine in ten micro-batches take less, from their records to durable state.",
                    "s",
                    Query(
                        f"histogram_quantile(0.9, sum by (le) "
                        f"(rate(cascadecast_batch_seconds_bucket{{{ALL}}}[{WINDOW}])))",
                        "p90",
                    ),
                ),
            ],
        ),
        Row(
            "State",
            "is there room, and would a crash be cheap?",
            [
                lines(
                    "Memory",
                    "Of each worker's process.",
                    "bytes",
                    Query(f"process_resident_memory_bytes{{{ALL}}}", "{{instance}}"),
                ),
                lines(
                    "Live posts",
                    "Posts in memory, and those that left early for want of room (a second).",
                    "short",
                    Query(f"sum(cascadecast_live_cascades{{{ALL}}})", "live"),
                    Query(
                        f'sum(rate(cascadecast_cascades_departed_total{{{ALL},reason="evicted"}}[{WINDOW}]))'
                        " or vector(0)",
                        "evicted a second",
                    ),
                ),
                lines(
                    "Fullest partition",
                    "Share of a partition's bound on bytes that its live posts take; at 1 they leave early.",
                    "percentunit",
                    Query(
                        f"max by (instance) (cascadecast_live_cascades_bytes{{{ALL}}}"
                        f" / on (instance, job) group_left () cascadecast_live_cascades_limit_bytes{{{ALL}}})",
                        "{{instance}}",
                    ),
                    alarm=1,
                ),
                lines(
                    "Durable state",
                    "Bytes of the state's log, by worker.",
                    "bytes",
                    Query(f"sum by (instance) (cascadecast_state_stored_bytes{{{ALL}}})", "{{instance}}"),
                ),
                lines(
                    "Changelog",
                    "Bytes of state written a second.",
                    "Bps",
                    Query(
                        f"sum by (instance) (rate(cascadecast_changelog_bytes_total{{{ALL}}}[{WINDOW}]))",
                        "{{instance}}",
                    ),
                ),
                lines(
                    "Recovery",
                    "Records still to be read: before a worker is ready, and by the copies that wait to take over.",
                    "short",
                    Query(f"sum by (instance) (cascadecast_recovery_records_remaining{{{ALL}}})", "{{instance}}: own"),
                    Query(
                        f"sum by (instance) (cascadecast_standby_records_remaining{{{ALL}}})", "{{instance}}: copies"
                    ),
                ),
            ],
        ),
    ],
)
