"""Which models take part in an evaluation, by what a user writes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, cast, get_args

from forecasters.folds import Protocol
from forecasters.model_lookup import find_model
from forecasters.registry import BASELINES, PAPER, forecaster_class, forecaster_names, missing_extra, parse_spec
from graph.errors import UserError

EvaluationSplit = Literal["random", "time", "all"]


def evaluation_split(text: str) -> EvaluationSplit:
    """Raises `UserError` for anything but random, time and all."""
    if text not in get_args(EvaluationSplit):
        raise UserError(f"unknown split {text!r}; use {', '.join(get_args(EvaluationSplit))}")
    return cast("EvaluationSplit", text)


def evaluation_protocol(text: str) -> Protocol:
    """Raises `UserError` for anything but paper and rolling."""
    if text not in get_args(Protocol):
        raise UserError(f"unknown protocol {text!r}; use {' or '.join(get_args(Protocol))}")
    return cast("Protocol", text)


def chosen_models(
    text: str, split: EvaluationSplit, protocol: Protocol = "rolling", *, with_training: bool = False
) -> tuple[str, ...]:
    """Model specs from names, variants and ``all``, with commas between; raises `UserError` for an unknown one.

    ``all`` means what can run here. Where models are trained by the rolling protocol: every name; by the papers': the
    baselines and the variants called paper. Where they are not: those with stored weights or that need none and, with
    training cascades, the baselines.
    """
    chosen: list[str] = []
    for part in (part.strip() for part in text.split(",")):
        if part == "all":
            chosen += _everything(split, protocol, with_training)
        elif part:
            _check(part, split, with_training)
            chosen.append(part)
    if not chosen:
        raise UserError("--models names no model; give 'all' or names such as 'hawkes,ridge'")
    return tuple(dict.fromkeys(chosen))


def _everything(split: EvaluationSplit, protocol: Protocol, with_training: bool) -> Iterator[str]:
    for name in forecaster_names():
        if missing_extra(name) is not None:
            continue
        if split == "all":
            stored = find_model(name) is not None or not forecaster_class(name).needs_training
            if stored or (with_training and name in BASELINES):
                yield name
        elif protocol == "rolling" or name in BASELINES:
            yield name
        elif PAPER in forecaster_class(name).variants():
            yield f"{name}:{PAPER}"


def _check(spec: str, split: EvaluationSplit, with_training: bool) -> None:
    _, variant = parse_spec(spec.partition("@")[0])
    if split != "all" and "@" in spec:
        raise UserError(f"{spec!r}: a {split} split trains models afresh; leave the version out, or use --split all")
    if split == "all" and variant is not None and ("@" in spec or not with_training):
        raise UserError(
            f"{spec!r}: stored models are named without their variant; to train this one give --train FILE, or "
            "--split random or time"
        )
