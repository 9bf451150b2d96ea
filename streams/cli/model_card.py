"""``cascadecast models card``: put the scores of later evaluations on a model's card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def card(
    name: Annotated[str, typer.Argument(help="The model.")],
    version: Annotated[str, typer.Argument(help="A version that was trained with --split none.")],
    scores: Annotated[
        list[Path], typer.Option(help="Output of 'evaluate --json' of the same training; may be given several times.")
    ],
    store: Annotated[
        Path | None, typer.Option("--store", help="Model store.  [default: $CASCADECAST_MODELS_DIR or ./models]")
    ] = None,
) -> None:
    """Write a version's card anew from its training record and from evaluations made since.

    A version for which no test part was held back says nothing of its own error; the same training with a test part
    does. The weights and config.json stay as they are.
    """
    from forecasters.cards import amended_card
    from forecasters.model_files import CARD_FILE
    from forecasters.model_lookup import user_store_directory
    from forecasters.model_store import ModelStore
    from graph.errors import UserError
    from streams.cli.train import read_scores

    found = ModelStore(store or user_store_directory()).get(name, version)
    training = found.config().get("training") or {}
    variant = training.get("variant")
    try:
        text = amended_card(
            f"{name}:{variant}" if variant else name, training, [row for path in scores for row in read_scores(path)]
        )
    except KeyError as error:
        raise UserError(f"{found.directory}: has no training record ({error}); train the model again") from error
    except ValueError as error:
        raise UserError(str(error)) from error
    (found.directory / CARD_FILE).write_text(text, encoding="utf-8")
    typer.echo(f"wrote {found.directory / CARD_FILE}")
