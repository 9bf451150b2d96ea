"""Going viral: what alerts were raised, how soon, and what was held back. Which posts they are the live page shows."""

from __future__ import annotations

from deploy.grafana.board import Board, Row
from deploy.grafana.panels import ALL, WINDOW, Query, buckets, lines, number

VIRAL = Board(
    "viral",
    "Going viral",
    "Alerts by rule. Metrics never name posts: the live page (link above) lists those that rise fastest.",
    [
        Row(
            "Alerts",
            "is something going viral?",
            [
                number("Open now", "Alerts that are open.", "none", Query(f"sum(cascadecast_alerts_open{{{ALL}}})")),
                number(
                    "Opened in 24 h",
                    "Alerts opened within a day.",
                    "none",
                    Query(f'sum(increase(cascadecast_alerts_total{{{ALL},state="opened"}}[24h]))'),
                ),
                number(
                    "Posts watched", "Live posts in memory.", "none", Query(f"sum(cascadecast_live_cascades{{{ALL}}})")
                ),
                number(
                    "Forecasts a second",
                    "Published by champions.",
                    "cps",
                    Query(f'sum(rate(cascadecast_forecasts_published_total{{{ALL},role="champion"}}[{WINDOW}]))'),
                ),
                lines(
                    "Opened",
                    "Alerts opened, by rule.",
                    "none",
                    Query(
                        f'sum by (rule) (increase(cascadecast_alerts_total{{{ALL},state="opened"}}[15m]))', "{{rule}}"
                    ),
                    stacked=True,
                ),
                lines(
                    "Open",
                    "Alerts that are open, by rule.",
                    "none",
                    Query(f"sum by (rule) (cascadecast_alerts_open{{{ALL}}})", "{{rule}}"),
                    stacked=True,
                ),
            ],
        ),
        Row(
            "Delay",
            "do alerts come in time?",
            [
                buckets(
                    "Event to alert",
                    "From the broker's timestamp of the batch that made the forecast due to the alert's publication.",
                    "s",
                    Query(f"sum by (le) (increase(cascadecast_alert_latency_seconds_bucket{{{ALL}}}[{WINDOW}]))"),
                ),
                lines(
                    "Event to alert, p99",
                    "Ninety-nine in a hundred alerts are faster.",
                    "s",
                    Query(
                        f"histogram_quantile(0.99, sum by (le) "
                        f"(rate(cascadecast_alert_latency_seconds_bucket{{{ALL}}}[1h])))",
                        "p99",
                    ),
                ),
            ],
        ),
        Row(
            "Restraint",
            "what was held back, and which rules are in force?",
            [
                lines(
                    "Withheld",
                    "Posts that fulfilled a rule and opened no alert, by rule and reason.",
                    "none",
                    Query(
                        f"sum by (rule, reason) (increase(cascadecast_alerts_withheld_total{{{ALL}}}[15m]))",
                        "{{rule}}: {{reason}}",
                    ),
                ),
                lines(
                    "Rules refused",
                    "Changed rule files that could not be read; the rules in force stayed.",
                    "none",
                    Query(
                        f"sum by (instance) (increase(cascadecast_alert_rules_reload_failures_total{{{ALL}}}[1h]))",
                        "{{instance}}",
                    ),
                ),
            ],
        ),
    ],
)
