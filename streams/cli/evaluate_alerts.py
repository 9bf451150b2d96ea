"""``cascadecast evaluate alerts``: whether forecasts make better alerts than a count or a rate above a threshold."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer


def alerts(
    data: Annotated[
        Path, typer.Option(help="Event file with whole cascades of all sizes (JSONL, plain, .gz or .zst).")
    ],
    observe: Annotated[str, typer.Option(help="Ages at which posts are judged.")] = "30m,1h",
    horizon: Annotated[
        str, typer.Option(help="Age at which a post's size decides whether it was worth an alert.")
    ] = "24h",
    top: Annotated[str, typer.Option(help="Shares of the posts that are worth an alert.")] = "1%,5%,10%",
    split: Annotated[
        str,
        typer.Option(help="time: train on the earlier 70 %, test on the rest. random. all: train nothing."),
    ] = "time",
    seeds: Annotated[str, typer.Option(help="Seeds of the random splits and of training.")] = "0,1,2",
    models: Annotated[
        str | None,
        typer.Option(
            help="Rules beside today's: ranker, or forecasters, which rank by expected size: ranker,trees.  "
            "[default: ranker, or blend with --split all]"
        ),
    ] = None,
    max_cascades: Annotated[int | None, typer.Option(min=1, help="Use only the first N cascades of the file.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the result into this .svg or .png; needs the extra 'plot'.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown tables.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Find the posts that will be in the top share: forecasts beside a count and a rate above a threshold, at an age
    (average precision) and through each post's life (how long before half of its final size a rule alerts)."""
    from forecasters.alerting.alert_plots import write_alert_plot
    from forecasters.alerting.evaluation import evaluate_alerts
    from forecasters.alerting.plan import AlertPlan, chosen_rules, parse_shares
    from forecasters.gradient_boosting import lightgbm_module
    from forecasters.plots import check_plot
    from forecasters.selection import evaluation_split
    from streams.cli.alert_tables import markdown_tables, print_tables
    from streams.cli.cascade_files import load_cascades
    from streams.cli.evaluation_options import parse_ages, parse_seeds
    from streams.cli.progress import progress_bar
    from streams.cli.results import print_result

    how = evaluation_split(split)
    ages, horizon_seconds = parse_ages(observe, horizon)
    rules = chosen_rules(models, how)
    plan = AlertPlan(ages, horizon_seconds, parse_shares(top), how, parse_seeds(seeds), rules)
    if plan.trains_ranker:
        lightgbm_module()  # an error now rather than after the reading
    if plot is not None:
        check_plot(plot)
    began = time.perf_counter()
    cascades = load_cascades([data], max_cascades)
    with progress_bar() as progress:
        found = evaluate_alerts(cascades, plan, data=data.name, progress=progress)
    if plot is not None:
        write_alert_plot(plot, found)
    if json:
        print_result("evaluate alerts", time.perf_counter() - began, found.rows)
    elif markdown:
        typer.echo(markdown_tables(found.rows))
    else:
        print_tables(found.rows)
