"""Panels in the project's manner: each has a description and a unit, asks the chosen data source, job and instance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

from grafana_foundation_sdk.builders import common, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import dashboard as dashboards
from grafana_foundation_sdk.models.common import (
    GraphTresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
)
from grafana_foundation_sdk.models.dashboard import DataSourceRef, Threshold, ThresholdsMode
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE: Final = DataSourceRef("prometheus", "${datasource}")

ALL: Final = 'job=~"$job",instance=~"$instance"'
"""Selects what the reader chose at the top of the dashboard; of recorded series, which have no instance, the job."""

JOB: Final = 'job=~"$job"'

WINDOW: Final = "$__rate_interval"

HEIGHT: Final = 8

Panel = timeseries.Panel | stat.Panel | table.Panel | heatmap.Panel
_P = TypeVar("_P", timeseries.Panel, stat.Panel, table.Panel, heatmap.Panel)


@dataclass(frozen=True)
class Query:
    """An expression, and how its series are called."""

    expression: str
    legend: str = ""


def _targets(panel: _P, queries: tuple[Query, ...], *, instant: bool = False) -> _P:
    for number, query in enumerate(queries):
        target = prometheus.Dataquery().expr(query.expression).ref_id(chr(ord("A") + number)).datasource(SOURCE)
        target = target.instant() if instant else target.range()
        panel = panel.with_target(target.legend_format(query.legend) if query.legend else target)
    return panel.datasource(SOURCE)


def _levels(warn: float | None, alarm: float | None, *, below: bool = False) -> dashboards.ThresholdsConfig:
    """Green, then yellow from ``warn`` and red from ``alarm`` on; with ``below`` the other way round."""
    colors = [level for level in ((warn, "yellow"), (alarm, "red")) if level[0] is not None]
    if below:
        steps = [Threshold(None, "red")]
        if warn is not None and alarm is not None:
            steps = [Threshold(None, "red"), Threshold(alarm, "yellow"), Threshold(warn, "green")]
        elif alarm is not None:
            steps = [Threshold(None, "red"), Threshold(alarm, "green")]
    else:
        steps = [Threshold(None, "green"), *(Threshold(value, color) for value, color in colors)]
    return dashboards.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def lines(
    title: str, description: str, unit: str, *queries: Query, alarm: float | None = None, stacked: bool = False
) -> timeseries.Panel:
    """Curves over time; ``alarm`` is drawn as a line."""
    legend = common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM)
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .min(0)
        .legend(legend.show_legend(True))
        .height(HEIGHT)
        .span(8)
    )
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL)).fill_opacity(30)
    if alarm is not None:
        panel = panel.thresholds(_levels(None, alarm)).thresholds_style(
            common.GraphThresholdsStyleConfig().mode(GraphTresholdsStyleMode.DASHED)
        )
    return _targets(panel, queries)


def number(
    title: str,
    description: str,
    unit: str,
    query: Query,
    warn: float | None = None,
    alarm: float | None = None,
    *,
    below: bool = False,
) -> stat.Panel:
    """One figure, coloured by its levels."""
    panel = stat.Panel().title(title).description(description).unit(unit).height(4).span(4)
    return _targets(panel.thresholds(_levels(warn, alarm, below=below)), (query,), instant=True)


def listing(title: str, description: str, query: Query) -> table.Panel:
    """The labels of series as a table."""
    panel = table.Panel().title(title).description(description).unit("none").height(HEIGHT).span(8)
    target = prometheus.Dataquery().expr(query.expression).ref_id("A").datasource(SOURCE).instant()
    return panel.with_target(target.format(PromQueryFormat.TABLE)).datasource(SOURCE)


def buckets(title: str, description: str, unit: str, query: Query) -> heatmap.Panel:
    """A histogram over time."""
    panel = heatmap.Panel().title(title).description(description).unit(unit).height(HEIGHT).span(8)
    color = heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Blues").steps(64)
    target = prometheus.Dataquery().expr(query.expression).ref_id("A").datasource(SOURCE).range()
    target = target.format(PromQueryFormat.HEATMAP).legend_format("{{le}}")
    return panel.color(color).with_target(target).datasource(SOURCE)
