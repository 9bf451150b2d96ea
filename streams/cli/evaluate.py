"""``cascadecast evaluate``: how good the forecasters are, in one table."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.evaluate_alerts import alerts
from streams.cli.subcommands import command_with

if TYPE_CHECKING:
    from graph import Cascade


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("evaluate", cls=command_with(alerts=alerts), epilog="Alerts: cascadecast evaluate alerts --help")(
        evaluate
    )


def evaluate(
    data: Annotated[Path, typer.Option(help="Event file with whole cascades (JSONL, plain, .gz or .zst).")],
    observe: Annotated[str, typer.Option(help="Ages at which the input is cut.")] = "30m,1h",
    horizon: Annotated[str, typer.Option(help="Age at which popularity is forecast.")] = "24h",
    models: Annotated[
        str, typer.Option(help="'all', or names, versions and variants: hawkes,ridge,concat@2,concat:paper.")
    ] = "all",
    split: Annotated[
        str, typer.Option(help="all: score stored weights on every cascade. random, time: train on 70 % first.")
    ] = "all",
    protocol: Annotated[
        str,
        typer.Option(help="rolling: neural models are trained once for all ages. paper: everything at each age alone."),
    ] = "rolling",
    train: Annotated[
        list[Path] | None,
        typer.Option(
            help="With --split all: fit baselines and variants on this file. With random or time: models for any age "
            "train on it too, as posts of another population. May be given several times."
        ),
    ] = None,
    max_train: Annotated[
        int | None, typer.Option(min=1, help="Only the first N cascades of each --train file.")
    ] = None,
    seeds: Annotated[str, typer.Option(help="Seeds of the random splits and of training.")] = "0,1,2",
    split_seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of one random split for all seeds.  [default: each seed its own]")
    ] = None,
    min_events: Annotated[
        int, typer.Option(min=1, help="Leave out cascades with fewer events when observed, the post counted.")
    ] = 10,
    reference: Annotated[
        str | None, typer.Option(help="Model to compare with, pair by pair.  [default: lightgbm if it takes part]")
    ] = None,
    max_cascades: Annotated[
        int | None, typer.Option(min=1, help="Score only the first N cascades of the file.")
    ] = None,
    alone: Annotated[
        bool,
        typer.Option("--alone", help="Each post as the first of its stream; else earlier ones tell the platform."),
    ] = False,
    epochs: Annotated[int | None, typer.Option(min=1, help="At most so many epochs for neural models.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the result into this .svg or .png; needs the extra 'plot'.")
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="Write every single forecast into this .csv (or .csv.gz, .csv.zst).")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score forecasters under the field's protocols: cascades with 10 events or more when observed, errors in
    log2, intervals by bootstrap over the cascades."""
    from forecasters.evaluation import EvaluationPlan
    from forecasters.evaluation import evaluate as evaluated
    from forecasters.plots import check_plot, write_plot
    from forecasters.runs import prediction_lines
    from forecasters.selection import chosen_models, evaluation_protocol, evaluation_split
    from graph.errors import UserError
    from streams.cli.cascade_files import load_cascades
    from streams.cli.evaluation_options import parse_ages, parse_seeds
    from streams.cli.output import atomic_lines
    from streams.cli.progress import progress_bar
    from streams.cli.results import print_result
    from streams.cli.tables import markdown_table, print_table

    how, fits = evaluation_split(split), evaluation_protocol(protocol)
    training_files = train or []
    if max_train is not None and not training_files:
        raise UserError("--max-train limits the files of --train; name one, or leave it out")
    ages, horizon_seconds = parse_ages(observe, horizon)
    plan = EvaluationPlan(
        models=chosen_models(models, how, fits, with_training=bool(training_files)),
        observe_seconds=ages,
        horizon_seconds=horizon_seconds,
        split=how,
        protocol=fits,
        seeds=parse_seeds(seeds),
        split_seed=split_seed,
        epochs=epochs,
        min_events=min_events,
        reference=reference,
        curves=plot is not None,
        alone=alone,
    )
    plan.chosen_reference()  # an error now rather than after the reading
    plan.check_training(bool(training_files))
    if plot is not None:
        check_plot(plot)
    began = time.perf_counter()
    cascades = load_cascades([data], max_cascades)
    training = _others(load_cascades(training_files, max_train), cascades) if training_files else []
    with progress_bar() as progress:
        found = evaluated(cascades, plan, data=data.name, training=training, progress=progress)
    rows = [{**row, "train": [path.name for path in training_files]} for row in found.rows]
    if predictions is not None:
        atomic_lines(predictions, prediction_lines(found.runs))
    if plot is not None:
        write_plot(plot, rows, found.runs)
    if json:
        print_result("evaluate", time.perf_counter() - began, rows)
    elif markdown:
        typer.echo(markdown_table(rows))
    else:
        print_table(rows)


def _others(training: list[Cascade], scored: list[Cascade]) -> list[Cascade]:
    """The training cascades that are not scored; says how many are, since a model must not have seen its test.

    Raises `UserError` when none is left.
    """
    from graph.errors import UserError
    from streams.cli.cascade_files import say

    tested = {cascade.id for cascade in scored}
    others = [cascade for cascade in training if cascade.id not in tested]
    if len(others) < len(training):
        say(f"{len(training) - len(others)} cascades of --train are in --data too and were left out of the training")
    if not others:
        raise UserError("--train has no cascade that is not in --data; give other cascades to train on")
    return others
