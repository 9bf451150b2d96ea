"""The reference of metrics is what the registry holds."""

from __future__ import annotations

import re

from deploy.metrics_page import PAGE, text
from streams.metrics import WorkerMetrics
from streams.scoring.board import FAMILIES


def test_the_committed_page_is_what_the_registry_says() -> None:
    assert PAGE.read_text() == text(), "run python -m deploy.metrics_page"


def test_the_page_has_every_family_of_the_registry() -> None:
    told = set(re.findall(r"^\| `([a-z_]+)` ", PAGE.read_text(), re.MULTILINE))
    families = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in WorkerMetrics().registry.collect()
    }
    assert told == {name for name in families if not name.startswith("process_")} | set(FAMILIES)


def test_no_label_names_a_post_or_a_user() -> None:
    labels = set(re.findall(r"`([a-z_]+)`(?=[,\s|])", "".join(line.split("|")[3] for line in rows())))
    assert not labels & {"cascade", "post", "user", "id", "event", "author"}


def rows() -> list[str]:
    return [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
