"""Forecast quality: how far off were the forecasts whose truth is known, and who speaks?"""

from __future__ import annotations

from deploy.grafana.board import Board, Row
from deploy.grafana.panels import ALL, WINDOW, Query, lines, listing, number

QUALITY = Board(
    "quality",
    "Forecast quality",
    "Forecasts are kept until their post reaches the horizon, then scored: errors, intervals, weights, models.",
    [
        Row(
            "Error",
            "how far off are we?",
            [
                lines(
                    "Error by age",
                    "Mean squared log2 error of the last scores, by age at the forecast: 1 is off by a factor of two.",
                    "none",
                    Query(f"avg by (model, age) (cascadecast_score_msle{{{ALL}}})", "{{model}} at {{age}}"),
                ),
                lines(
                    "Error by version",
                    "The same over all ages, by version: a challenger below its champion is worth promoting.",
                    "none",
                    Query(f"avg by (model, version) (cascadecast_score_msle{{{ALL}}})", "{{model}} {{version}}"),
                ),
                lines(
                    "Scores a second",
                    "Forecasts whose truth became known.",
                    "cps",
                    Query(f"sum by (model) (rate(cascadecast_scores_total{{{ALL}}}[{WINDOW}]))", "{{model}}"),
                ),
            ],
        ),
        Row(
            "Intervals",
            "do eight in ten truths lie inside?",
            [
                lines(
                    "Coverage by age",
                    "Share of the last truths inside their intervals; 80 % is promised.",
                    "percentunit",
                    Query(f"avg by (model, age) (cascadecast_score_coverage_ratio{{{ALL}}})", "{{model}} at {{age}}"),
                    alarm=0.8,
                ),
                number(
                    "Coverage",
                    "Over all models and ages.",
                    "percentunit",
                    Query(f"avg(cascadecast_score_coverage_ratio{{{ALL}}})"),
                    0.76,
                    0.7,
                    below=True,
                ),
                number(
                    "Never scored",
                    "Kept forecasts whose truth will never be known, in an hour.",
                    "none",
                    Query(f"sum(increase(cascadecast_forecasts_unscored_total{{{ALL}}}[1h]))"),
                ),
            ],
        ),
        Row(
            "Models",
            "who speaks, and how much weight has whom?",
            [
                lines(
                    "Weights of the blend",
                    "What the blend gives its experts, averaged over ages and partitions; it follows the scores.",
                    "percentunit",
                    Query(f"avg by (model, expert) (cascadecast_blend_weight_ratio{{{ALL}}})", "{{expert}}"),
                    stacked=True,
                ),
                listing(
                    "Versions in use",
                    "Loaded models with version and role.",
                    Query(f"max by (model, version, role) (cascadecast_model_info{{{ALL}}})"),
                ),
                lines(
                    "What models cannot say",
                    "Forecasts that failed, and posts for which a model has no finite answer.",
                    "cps",
                    Query(
                        f"sum by (model) (rate(cascadecast_forecasts_failed_total{{{ALL}}}[{WINDOW}]))",
                        "{{model}} failed",
                    ),
                    Query(
                        f"sum by (model) (rate(cascadecast_forecasts_supercritical_total{{{ALL}}}[{WINDOW}]))",
                        "{{model}} no finite answer",
                    ),
                ),
                lines(
                    "Swaps",
                    "Versions put to use by running workers, and versions refused.",
                    "none",
                    Query(
                        f"sum by (model, role) (increase(cascadecast_model_swaps_total{{{ALL}}}[1h]))",
                        "{{model}} ({{role}}) swapped",
                    ),
                    Query(
                        f"sum by (model, role) (increase(cascadecast_model_load_failures_total{{{ALL}}}[1h]))",
                        "{{model}} ({{role}}) refused",
                    ),
                ),
            ],
        ),
    ],
)
