"""docs/alert-delivery.md says what the code does: keys, metrics, dead letters, its example and its snippet."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from streams.alerts.delivery.dead_letter_box import Undeliverable
from streams.alerts.delivery.metrics import DeliveryMetrics, Fate
from streams.alerts.delivery.posting import Trouble
from streams.alerts.delivery.signature import signature_headers, signing_keys
from streams.alerts.delivery.targets import AlertmanagerTarget, SlackTarget, Target, WebhookTarget
from streams.alerts.delivery.targets_file import read_targets
from streams.alerts.records import AlertState, Severity
from tests.test_docs import FENCE, ROOT, names, table

PAGE = ROOT / "docs" / "alert-delivery.md"
KINDS = {"alertmanager": AlertmanagerTarget, "webhook": WebhookTarget, "slack": SlackTarget}


def blocks(language: str) -> list[str]:
    return [block for found, block in FENCE.findall(PAGE.read_text(encoding="utf-8")) if found == language]


def shown(default: object) -> str:
    """A default as one would write it in the file."""
    if default is None or default in (tuple(Severity), tuple(AlertState)):
        return "none" if default is None else "all"
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default)


def described(model: type[Target], keys: list[str]) -> list[list[str]]:
    fields = [(key, model.model_fields[key]) for key in keys]
    return [
        [f"`{key}`", "needed" if one.is_required() else f"`{shown(one.default)}`", one.description or ""]
        for key, one in fields
    ]


def test_every_key_that_all_targets_have_is_described() -> None:
    keys = [key for key in Target.model_fields if key != "type"]
    assert [row[:3] for row in table(PAGE, "Keys of every target")] == described(Target, keys)


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_of_a_kind_and_every_default_of_its_own_is_described(kind: str) -> None:
    model = KINDS[kind]
    own = [
        key
        for key, field in model.model_fields.items()
        if key != "type" and (key not in Target.model_fields or field.default != Target.model_fields[key].default)
    ]
    assert sorted(row[:3] for row in table(PAGE, kind)) == sorted(described(model, own))


def test_every_metric_is_described_with_its_labels() -> None:
    stated = {names([row[0]])[0]: row[1] for row in table(PAGE, "Metrics")}
    assert stated == {
        f"{metric._name}_total" if metric._type == "counter" else metric._name: ", ".join(metric._labelnames[1:])
        for metric in vars(DeliveryMetrics()).values()
        if hasattr(metric, "_labelnames")
    }


@pytest.mark.parametrize(
    ("metric", "values"),
    [("cascadecast_delivery_records_total", Fate), ("cascadecast_delivery_failures_total", Trouble)],
)
def test_every_value_of_a_label_is_named(metric: str, values: type[Fate] | type[Trouble]) -> None:
    meaning = next(row[2] for row in table(PAGE, "Metrics") if row[0] == f"`{metric}`")
    assert names([meaning]) == [value.value for value in values]


def test_every_reason_of_a_dead_letter_is_named() -> None:
    stated = names([row[0] for row in table(PAGE, "Records that cannot be delivered")])
    assert stated == [reason.value for reason in Undeliverable]


def test_the_example_is_a_targets_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = (block for block in blocks("toml") if "[targets." in block)
    for path in re.findall(r'_file = "([^"]+)"', example):
        held = tmp_path / Path(path).name
        held.write_text("https://hooks.example.org/x")
        example = example.replace(path, str(held))
    for variable in re.findall(r'_env = "([^"]+)"', example):
        monkeypatch.setenv(variable, "value")
    file = tmp_path / "targets.toml"
    file.write_text(example)
    assert {one.target.type for one in read_targets(file).targets} == set(KINDS)


def test_the_snippet_verifies_signatures_and_nothing_else() -> None:
    (snippet,) = blocks("python")
    space: dict[str, Any] = {}
    exec(snippet, space)
    verify = space["verify"]
    body, now = b'{"id": "a"}', int(time.time())
    good = signature_headers(signing_keys("new\nold"), "a", now, body)
    assert verify("old", good, body)
    assert verify("new", good, body)
    assert not verify("other", good, body)
    assert not verify("new", good, body + b" ")
    assert not verify("new", {**good, "webhook-id": "b"}, body)
    assert not verify("new", {**good, "webhook-timestamp": str(now + 1)}, body)
    old = signature_headers(signing_keys("new"), "a", now - 600, body)
    assert not verify("new", old, body), "recorded and sent again"
    assert verify("whsec_bmV3", good, body), "the same key, written as base64"
