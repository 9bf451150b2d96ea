"""Write the dashboards' JSON anew."""

from __future__ import annotations

import json
from pathlib import Path

from deploy.grafana.board import Board
from deploy.grafana.pipeline import PIPELINE
from deploy.grafana.quality import QUALITY
from deploy.grafana.viral import VIRAL

BOARDS: tuple[Board, ...] = (PIPELINE, QUALITY, VIRAL)
FOLDER = Path(__file__).parent / "dashboards"


def text_of(board: Board) -> str:
    """The committed file's content."""
    return json.dumps(board.build(), indent=2, default=lambda part: part.to_json()) + "\n"


def main() -> None:
    """Write every board."""
    for board in BOARDS:
        (FOLDER / f"{board.name}.json").write_text(text_of(board))


if __name__ == "__main__":
    main()
