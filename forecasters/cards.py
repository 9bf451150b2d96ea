"""The model card (Markdown), written by the training run itself so that it cannot claim what was not measured."""

from __future__ import annotations

import inspect
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from forecasters.comparison import comparison_table, coverage_table
from forecasters.registry import forecaster_class, parse_spec
from graph.durations import format_duration


@dataclass(frozen=True, slots=True)
class Measured:
    """What a training run found out. ``rows`` are those of `forecasters.summary`."""

    results: dict[str, Any]
    seeds: list[dict[str, Any]]
    rows: list[dict[str, Any]]
    held_out: bool
    """Whether ``rows`` were measured on a test part of this very run."""
    cost: dict[str, Any]


def card(spec: str, protocol: dict[str, Any], measured: Measured) -> str:
    """The card of a version of ``name`` or ``name:variant``."""
    kind = forecaster_class(parse_spec(spec)[0])
    verb = "Trained" if kind.needs_training else "Intervals calibrated (nothing else is learned)"
    parts = [
        f"# {spec}",
        inspect.cleandoc(kind.__doc__ or ""),
        f"## {verb} on",
        _data(protocol),
        *(_tested(measured) if measured.held_out else _untested(measured)),
        "## Cost",
        _cost(measured),
        "## To repeat it",
        f"```\n{protocol['command']}\n```",
        "## Mind",
        "The model knows the platform and the years of its data. On other posts look at the coverage and the squared "
        "log error of its published scores before trusting it.",
    ]
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def amended_card(spec: str, training: dict[str, Any], rows: Sequence[dict[str, Any]]) -> str:
    """The card of a version without a test part of its own, with the ``rows`` of evaluations made since.

    ``training`` is what the run wrote into the version's config.json. Raises `ValueError` for a version that was
    measured on a test part: its own rows are the better ones.
    """
    if "msle" in training["results"]:
        raise ValueError(f"{spec} held a test part back and was measured on it")
    measured = Measured(training["results"], training["seeds_results"], list(rows), False, training["cost"])
    return card(spec, training, measured)


def files_table(files: Sequence[dict[str, Any]]) -> str:
    """The files of a version's record (`DataFile.record`)."""
    lines = [f"| {file['name']} | {file['cascades']:,} | {file['xxh3_128']} |" for file in files]
    return "\n".join(["| file | cascades | xxh3-128 |", "|---|---|---|", *lines])


def _data(protocol: dict[str, Any]) -> str:
    observed = protocol["observe_seconds"]
    ages = "any (rolling)" if observed == "rolling" else ", ".join(format_duration(age) for age in observed)
    parts = {
        "random": "70 % of the cascades to train, 15 % to choose and calibrate, 15 % to test, drawn at random",
        "time": "the oldest 70 % of the cascades to train, 15 % to choose and calibrate, the newest 15 % to test",
        "none": "85 % of the cascades to train, 15 % to choose and calibrate, none held back to test",
    }
    how = parts[protocol["split"]]
    if protocol.get("only_chosen_by"):
        how = (
            f"nothing is fitted but weights and intervals, to all cascades that are not held back; {protocol['split']}"
        )
    seeds = ", ".join(map(str, protocol["seeds"]))
    return (
        f"{files_table(protocol['data'])}\n\n"
        f"- ages: {ages}\n- horizon: {format_duration(protocol['horizon_seconds'])}\n"
        f"- split: {how} (seed {protocol['seed']})\n"
        f"- trained with seeds {seeds}; published is seed {protocol['published_seed']}, the best on the validation part"
    )


def _tested(measured: Measured) -> list[str]:
    parts = [
        "## Measured on the test part",
        "Cascades that neither the fit nor any choice has seen; errors in log2.",
        _table(measured.results),
    ]
    if measured.rows:
        reference = measured.rows[0]["reference"]
        paired = f" The last two columns compare with {reference}, cascade by cascade." if reference else ""
        parts += [
            "### Beside baselines at fixed ages",
            "The same test cascades, those with enough events by then. Each baseline was fitted at that very age on "
            f"the same training cascades.{paired}",
            comparison_table(measured.rows),
        ]
        buckets = coverage_table(measured.rows)
        if buckets:
            level = round(100 * measured.rows[0]["level"])
            parts += ["### Coverage by age", f"Of the {level} % intervals, one random age of each cascade.", buckets]
    return [*parts, *_seeds(measured.seeds)]


def _untested(measured: Measured) -> list[str]:
    parts = [
        "## Measured",
        "No test part was held back: all cascades but those of the validation part were trained on, so nothing of this "
        "version itself could be measured. The validation part chose it, which flatters the error there.",
        _table(measured.results),
    ]
    if measured.rows:
        parts += [
            "### The same training with a test part",
            "Models trained in the same way on the file named, scored on cascades of it that they had not seen.",
        ]
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in measured.rows:
        groups.setdefault((row["data"], row["split"]), []).append(row)
    for (data, split), rows in groups.items():
        parts += [f"#### {data}, split: {split}", comparison_table(rows), coverage_table(rows)]
    return [*parts, *_seeds(measured.seeds)]


def _seeds(rows: Sequence[dict[str, Any]]) -> list[str]:
    if len(rows) < 2:
        return []
    names = list(rows[0])
    lines = [f"| {' | '.join(name.replace('_', ' ') for name in names)} |", f"|{'---|' * len(names)}"]
    lines += [f"| {' | '.join(_number(row[name]) for name in names)} |" for row in rows]
    return ["### All seeds", "\n".join(lines)]


def _cost(measured: Measured) -> str:
    cost = measured.cost
    size = f"{cost['parameters']:,} numbers" if cost["parameters"] else "no tensors"
    return (
        f"- fit: {measured.results['fit_seconds']} s in all, on {platform.machine()} {platform.system()}, "
        f"Python {platform.python_version()}, device {cost['device']}\n"
        f"- size: {size}\n"
        f"- inference: {cost['cascades_per_second']:,.0f} cascades a second on one thread, features included, in one "
        f"batch of {cost['batch']}: {cost['ratio_to_hawkes']:.3g} times hawkes in the same run"
    )


def _table(values: dict[str, Any]) -> str:
    lines = [f"| {key.replace('_', ' ')} | {_number(value)} |" for key, value in values.items()]
    return "\n".join(["| what | value |", "|---|---|", *lines])


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
