"""A dashboard: rows, each of which answers a question, under what the reader may choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from grafana_foundation_sdk.builders import dashboard as dashboards
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableRefresh,
    VariableSort,
)

from deploy.grafana.panels import SOURCE, Panel

RUNBOOK: Final = "https://example.org/cascadecast/deploy/runbook.md"
LIVE_PAGE: Final = "http://${instance:raw}/"
"""The page of the chosen worker; any worker shows all posts."""


@dataclass(frozen=True)
class Row:
    """A row's title is short; the question is what a reader comes with."""

    title: str
    question: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Board:
    """One dashboard, and the file name it has."""

    name: str
    title: str
    description: str
    rows: Sequence[Row]

    def build(self) -> dict[str, Any]:
        """As Grafana reads it."""
        board = (
            dashboards.Dashboard(f"Cascadecast: {self.title}")
            .uid(f"cascadecast-{self.name}")
            .description(self.description)
            .tags(["cascadecast"])
            .timezone("utc")
            .time("now-3h", "now")
            .refresh("30s")
            .tooltip(DashboardCursorSync.CROSSHAIR)
            .editable()
            .with_variable(dashboards.DatasourceVariable("datasource").label("Data source").type("prometheus"))
            .with_variable(_choice("job", "Job", "label_values(cascadecast_ready, job)"))
            .with_variable(_choice("instance", "Instance", 'label_values(cascadecast_ready{job=~"$job"}, instance)'))
            .link(_to("Runbook", RUNBOOK, "doc"))
            .link(_to("Live page", LIVE_PAGE, "bolt"))
            .link(
                dashboards.DashboardLink("Other dashboards")
                .type(DashboardLinkType.DASHBOARDS)
                .tags(["cascadecast"])
                .as_dropdown(True)
                .keep_time(True)
                .include_vars(True)
            )
        )
        for row in self.rows:
            board = board.with_row(dashboards.Row(f"{row.title}: {row.question}"))
            for panel in row.panels:
                board = board.with_panel(panel)
        built: Any = board.build()
        return dict(built.to_json())


def _choice(name: str, label: str, query: str) -> dashboards.QueryVariable:
    return (
        dashboards.QueryVariable(name)
        .label(label)
        .query(query)
        .datasource(SOURCE)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".+")
    )


def _to(title: str, url: str, icon: str) -> dashboards.DashboardLink:
    return dashboards.DashboardLink(title).type(DashboardLinkType.LINK).url(url).icon(icon).target_blank(True)
