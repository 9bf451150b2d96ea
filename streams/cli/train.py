"""``cascadecast train MODEL``: a new version in the model store."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train")(train)


def train(
    model: Annotated[
        str,
        typer.Argument(
            help="Name, such as ridge or concat, or a variant, such as concat:paper; or ranker, for alerts."
        ),
    ],
    data: Annotated[
        list[Path],
        typer.Option(help="Event file with whole cascades (JSONL, plain, .gz or .zst). May be given several times."),
    ],
    observe: Annotated[
        str | None, typer.Option(help="Train for these ages only, such as 1h.  [default: rolling, any age]")
    ] = None,
    rolling: Annotated[
        bool, typer.Option("--rolling", help="Train for any age; the default without --observe.")
    ] = False,
    horizon: Annotated[str, typer.Option(help="Age at which popularity is forecast.")] = "24h",
    split: Annotated[
        str, typer.Option(help="random or time: how the test part is chosen. none: train on it too.")
    ] = "random",
    seed: Annotated[int, typer.Option(min=0, help="Of the split, the cuts and the training.")] = 0,
    seeds: Annotated[
        str | None, typer.Option(help="Train with each, such as 0,1,2; the best by validation is stored.")
    ] = None,
    min_events: Annotated[
        int,
        typer.Option(min=1, help="Cut at given ages only cascades with so many events by then, the post counted."),
    ] = 10,
    epochs: Annotated[int | None, typer.Option(min=1, help="At most so many epochs for neural models.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda, for neural models.")] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from where an interrupted run stopped.")] = False,
    scores: Annotated[
        Path | None, typer.Option(help="With --split none: 'evaluate --json' of the same model, for its card.")
    ] = None,
    top: Annotated[str | None, typer.Option(help="Of a ranker: shares of the posts.  [default: 1%,5%,10%]")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Model store.  [default: $CASCADECAST_MODELS_DIR or ./models]")
    ] = None,
    version: Annotated[str | None, typer.Option(help="Name of the version.  [default: the next number]")] = None,
    max_cascades: Annotated[int | None, typer.Option(min=1, help="Use the first N cascades of each file.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Fit a model, stop by the validation part, measure it on the test part beside all baselines and store it with a
    card that says so."""
    from forecasters.alerting.plan import RANKER
    from forecasters.dataset import split_kind
    from forecasters.model_lookup import user_store_directory
    from forecasters.model_store import ModelStore
    from forecasters.registry import answers_any_age, parse_spec
    from forecasters.training import train_version
    from forecasters.training_plan import TrainingPlan, device_named
    from graph.errors import UserError
    from streams.cli.cascade_files import load_data_files
    from streams.cli.evaluation_options import parse_ages, parse_seeds
    from streams.cli.results import print_result
    from streams.cli.train_ranker import train_ranker_on

    if model == RANKER:
        given = {
            "--observe": observe is not None, "--rolling": rolling, "--seeds": seeds is not None, "--resume": resume,
            "--epochs": epochs is not None, "--scores": scores is not None, "--min-events": min_events != 10,
        }  # fmt: skip
        for option in (option for option, is_given in given.items() if is_given):
            raise UserError(
                f"{option} is for forecasters; a {RANKER} is trained with --data, --top, --split and --seed"
            )
        train_ranker_on(data, horizon, top, split, seed, output, version, max_cascades, json=json)
        return
    if top is not None:
        raise UserError(f"--top is for the {RANKER}; leave it out")
    _, variant = parse_spec(model)
    if variant is not None and observe is None and not answers_any_age(model):
        raise UserError(f"{model} is made for one observation age; name it, such as --observe 1h")
    if rolling and observe is not None:
        raise UserError("--rolling trains for any age, --observe for given ones; leave one of them out")
    how = split_kind(split)
    if scores is not None and how != "none":
        raise UserError("--scores goes with --split none; with a test part the run measures itself")
    ages, horizon_seconds = parse_ages(observe, horizon)
    plan = TrainingPlan(
        model,
        horizon_seconds,
        ages,
        split=how,
        seed=seed,
        seeds=() if seeds is None else parse_seeds(seeds),
        epochs=epochs,
        min_events=min_events,
        device=device_named(device),
        max_cascades=max_cascades,
    )
    earlier = [] if scores is None else read_scores(scores)
    store = ModelStore(output or user_store_directory())
    began = time.perf_counter()
    cascades, files = load_data_files(data, max_cascades)
    with _epochs(plan.training_seeds) as progress:
        stored, results = train_version(
            cascades, plan, store, files=files, version=version, resume=resume, progress=progress, scores=earlier
        )
    row = {"model": stored.name, "model_version": stored.version, "directory": str(stored.directory), **results}
    if json:
        print_result("train", time.perf_counter() - began, [row])
        return
    typer.echo(f"{stored.name} {stored.version} is in {stored.directory}")
    typer.echo(_told(results))
    if "champion" not in stored.aliases:
        typer.echo(f"to use it: cascadecast models promote {stored.name} {stored.version}")


def _told(results: dict[str, Any]) -> str:
    fitted = f"fitted in {results['fit_seconds']} s"
    if "msle" not in results:
        return f"validation MSLE {results['validation_msle']:.3f}, no test part, {fitted}"
    return f"test MSLE {results['msle']:.3f}, coverage {results['coverage']:.2f}, {fitted}"


def read_scores(path: Path) -> list[dict[str, Any]]:
    """The rows of an ``evaluate --json``; raises `UserError` for any other file."""
    import msgspec

    from forecasters.comparison import ROW_KEYS
    from graph.errors import UserError

    try:
        document = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        rows = document["results"]
        if document["command"] != "evaluate" or not rows or any(not row.keys() >= ROW_KEYS for row in rows):
            raise ValueError("other contents")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}; name the output of 'evaluate --json'") from None
    except (msgspec.DecodeError, KeyError, ValueError, AttributeError):
        raise UserError(f"{path}: is no output of 'evaluate --json' of this version; write it anew") from None
    return list(rows)


@contextmanager
def _epochs(seeds: Sequence[int]) -> Iterator[Callable[[int, Any], None] | None]:
    """A bar for each seed on a terminal, of its epochs and of what comes before the first one; None in a pipe."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    from forecasters.fit_steps import Step

    with Progress(console=Console(stderr=True), transient=True) as shown:
        tasks = {seed: shown.add_task(f"seed {seed}", total=None) for seed in seeds}

        def update(seed: int, at: Any) -> None:
            if isinstance(at, Step):
                done, text = at.done, at.what
            else:
                done = at.number
                text = f"epoch {at.number}, validation MSLE {at.validation_msle:.3f} (best {at.best_msle:.3f})"
            shown.update(tasks[seed], completed=done, total=at.of, description=f"seed {seed}, {text}")

        yield update
