"""docs/metrics.md, made from the registry itself. ``python -m deploy.metrics_page`` writes it anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from prometheus_client.metrics import MetricWrapperBase

from streams.metrics import WorkerMetrics
from streams.scoring.board import FAMILIES

PAGE: Final = Path(__file__).parents[1] / "docs" / "metrics.md"

_HEAD: Final = """# Metrics

What a worker tells Prometheus on `/metrics`: base units, counters that end in `_total`, labels whose values are few and
known, never the id of a post or a user. Made from the registry by `python -m deploy.metrics_page`.

The counts add up, at any instant and over any run without a crash:

- `cascadecast_events_received_total` is the sum of `cascadecast_events_total` over its fates;
- `cascadecast_forecasts_due_total` is what was made, what was skipped, and what is on its way;
- what champions published is what was made times the champions, less what they failed on and what was withheld.

Beside them stand the
[process metrics](https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics) of the client library.
What to look at is on the [dashboards](dashboards.md), what to be woken by in the
[runbook](../deploy/runbook.md#alerts).

| metric | type | labels | meaning |
|---|---|---|---|
"""


def text() -> str:
    """The page."""
    return _HEAD + "\n".join(_rows()) + "\n"


def _rows() -> Iterator[str]:
    worker = WorkerMetrics()
    parts = [*vars(worker).values(), *vars(worker.heartbeat).values()]
    metrics = [one for one in parts if isinstance(one, MetricWrapperBase)]
    for metric in sorted(metrics, key=lambda metric: metric._name):
        name = f"{metric._name}_total" if metric._type == "counter" else metric._name
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)
        yield f"| `{name}` | {metric._type} | {labels} | {metric._documentation} |"
    for name, (meaning, names) in FAMILIES.items():
        labels = ", ".join(f"`{label}`" for label in names)
        yield f"| `{name}` | gauge | {labels} | {meaning} |"


def main() -> None:
    """Write the page."""
    PAGE.write_text(text())


if __name__ == "__main__":
    main()
