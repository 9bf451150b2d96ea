"""What the documents say is what the code does: commands, links, settings, topics, fields, metrics, examples."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer.main

from forecasters.evaluation import EvaluationPlan, evaluate
from graph import Event, Rejected, RejectReason, decode_event
from streams.alerts.delivery.dead_letter_box import TARGET_HEADER
from streams.broker.jars import kafka_version
from streams.cli.main import build_app
from streams.engine.raw_record import Record
from streams.kafka.control_records import HEARTBEAT_HEADER, WATERMARK_HEADER
from streams.kafka.dead_letters import dead_letter_headers
from streams.kafka.topics import declared_topics
from streams.records import ForecastRecord
from streams.scoring.scores import ScoreRecord
from streams.settings import Settings
from tests.forecasters.cascades import random_cascades

ROOT = Path(__file__).parents[1]
KAFKA = ROOT / "docs" / "kafka.md"
FORECASTERS = ROOT / "docs" / "forecasters.md"
README = ROOT / "README.md"
COMPOSE = ROOT / "deploy" / "compose.yaml"
DOCUMENTS = [
    README,
    ROOT / "CHANGELOG.md",
    ROOT / "SECURITY.md",
    ROOT / "deploy" / "README.md",
    ROOT / "deploy" / "runbook.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
CARDS = sorted((ROOT / "forecasters" / "weights").glob("*/*/card.md"))

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
ENVIRONMENT = re.compile(r"^(?:[A-Z_]+=\S* )+")
"""What stands before a command for it alone."""
PLACEHOLDER = re.compile(r"[A-Z_]+")
"""What a reader is to replace, such as FILE or N."""


@pytest.fixture(params=DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def document(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


# --- commands


@dataclass(frozen=True)
class Quoted:
    """A command line as a document prints it; one from a block is complete, one within a sentence may be a mention."""

    text: str
    complete: bool


def quoted_commands(text: str) -> Iterator[Quoted]:
    for language, block in FENCE.findall(text):
        if language in ("", "sh", "bash", "console"):
            for line in block.replace("\\\n", "").splitlines():
                yield from _parts(line, complete=True)
    for span in INLINE.findall(FENCE.sub("", text).replace("\n", " ")):
        yield from _parts(span, complete=False)


def _parts(line: str, *, complete: bool) -> Iterator[Quoted]:
    for part in re.split(r"\s*(?:\||&&|;)\s*", line.strip()):
        words = ENVIRONMENT.sub("", part)
        if words.split(" ")[0] == "cascadecast":
            yield Quoted(words, complete)


@pytest.fixture(scope="module")
def commands() -> Any:
    return typer.main.get_command(build_app())


def problem(root: Any, quoted: Quoted) -> str | None:
    """Why the command line would not be understood, without running anything; None when it would."""
    words = shlex.split(quoted.text, comments=True)[1:]
    command = root
    while hasattr(command, "commands"):
        if not words or words[0].startswith("-"):
            break
        name = words.pop(0)
        if name not in command.commands:
            return f"there is no command {name!r}"
        command = command.commands[name]
    context = command.context_class(command, info_name=command.name, help_option_names=["-h", "--help"])
    try:
        given, _, _ = command.make_parser(context).parse_args(words)
        for one in command.params:
            if (value := given.get(one.name)) and not PLACEHOLDER.fullmatch(str(value)):
                one.process_value(context, value)
    except Exception as error:  # typer's and click's usage errors have no common importable base
        said = str(error) or repr(error)
        return None if "does not exist" in said else said
    if not quoted.complete or "help" in given:
        return None
    if is_group(command) and "version" not in given:
        return "a group, not a command"
    missing = [one.name for one in command.params if one.required and given.get(one.name) in (None, ())]
    return f"{', '.join(missing)} is missing" if missing else None


def is_group(command: Any) -> bool:
    """Whether it does nothing on its own; ``evaluate`` has a command beneath it and is one itself."""
    return hasattr(command, "invoke_without_command")


def test_every_command_line_would_be_understood(document: Path, commands: Any) -> None:
    wrong = {
        quoted.text: said
        for quoted in quoted_commands(document.read_text(encoding="utf-8"))
        if (said := problem(commands, quoted))
    }
    assert not wrong


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cascadecast fortell", "no command"),
        ("cascadecast forecast", "missing"),
        ("cascadecast forecast FILE --speed 3", "No such option"),
        ("cascadecast topics create --partitions many", "valid integer"),
        ("cascadecast topics", "a group"),
    ],
)
def test_the_check_finds_a_wrong_command_line(commands: Any, text: str, said: str) -> None:
    assert said in (problem(commands, Quoted(text, complete=True)) or "")


def leaves(command: Any, path: tuple[str, ...] = ("cascadecast",)) -> Iterator[tuple[str, Any]]:
    """Every command that does something, with all its words."""
    for name, child in getattr(command, "commands", {}).items():
        yield from leaves(child, (*path, name))
    if not is_group(command):
        yield " ".join(path), command


def test_the_readme_lists_every_command(commands: Any) -> None:
    listed = [row[0] for row in table(README, "Commands")]
    assert sorted(listed) == sorted(f"`{name}`" for name, _ in leaves(commands))


def test_where_the_workers_are_is_read_from_the_environment_by_every_command(commands: Any) -> None:
    """An option without a default leaves the question to the settings, which read it there."""
    for name, command in leaves(commands):
        for one in command.params:
            if one.name in ("bootstrap_servers", "topic_prefix", "app_id") and one.default is not None:
                assert one.envvar == f"CASCADECAST_{one.name.upper()}", (name, one.name)


# --- links and paths


def anchors(path: Path) -> set[str]:
    """The anchors GitHub gives to a document's headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_relative_link_leads_somewhere(document: Path) -> None:
    dead = []
    for target in LINK.findall(FENCE.sub("", document.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (document.parent / path).resolve() if path else document
        if not found.exists() or (anchor and anchor not in anchors(found)):
            dead.append(target)
    assert not dead


@pytest.mark.parametrize("path", [*DOCUMENTS, *CARDS, COMPOSE], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_path_of_a_machine_is_named(path: Path) -> None:
    assert not re.findall(r"(?<![\w./-])/(?:work|root|home|Users|tmp)/\S*", path.read_text(encoding="utf-8"))


# --- tables


def table(path: Path, section: str) -> list[list[str]]:
    """Cells of the rows of all tables below the heading ``section``, up to the next heading; head rows left out."""
    text = path.read_text(encoding="utf-8").split(f"## {section}\n")[1].split("\n## ")[0]
    lines = text.splitlines()
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line, following in zip(lines, [*lines[1:], ""], strict=True)
        if line.startswith("|") and not line.startswith("|---") and not following.startswith("|---")
    ]


def names(cells: list[str]) -> list[str]:
    return [name for cell in cells for name in INLINE.findall(cell)]


def test_every_setting_is_described() -> None:
    expected = [
        [f"`{name}`", f"`CASCADECAST_{name.upper()}`", f"`{shown(field.default)}`", field.description]
        for name, field in Settings.model_fields.items()
    ]
    found = table(KAFKA, "Settings")
    assert [row[:3] for row in found] == [row[:3] for row in expected]
    assert all(row[3] for row in found)
    assert [row[3] for row, wanted in zip(found, expected, strict=True) if wanted[3]] == [
        wanted[3] for wanted in expected if wanted[3]
    ]


def shown(default: object) -> str:
    """A default as one would write it into the environment."""
    if default is None:
        return "none"
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return ",".join(shown(part) for part in default)
    return f"{default:g}" if isinstance(default, float) else str(default)


def test_every_topic_is_described_with_its_retention() -> None:
    declared = {spec.name: f"{int(spec.configs['retention.ms']) // 86_400_000} days" for spec in declared_topics()}
    assert {names([row[0]])[0]: row[3] for row in table(KAFKA, "Topics")} == declared


@pytest.mark.parametrize(
    ("section", "record"), [("Event", Event), ("Forecast", ForecastRecord), ("Scores", ScoreRecord)]
)
def test_every_field_of_a_record_is_described(section: str, record: type[msgspec.Struct]) -> None:
    described = names([row[0] for row in table(KAFKA, section)])
    assert described == [field.name for field in msgspec.structs.fields(record)]


def test_needed_fields_of_an_event_are_marked() -> None:
    needed = [field.name for field in msgspec.structs.fields(Event) if field.required]
    assert names([row[0] for row in table(KAFKA, "Event") if row[2] == "yes"]) == needed


def test_headers_and_reasons_of_dead_letters_are_described() -> None:
    rejected = Rejected(RejectReason.SCHEMA, "why")
    headers = [name for name, _ in dead_letter_headers(Record(b""), rejected, "topic", 0)]
    assert names([row[0] for row in table(KAFKA, "Dead letters")]) == headers + [
        reason.value for reason in RejectReason
    ]


def test_every_key_of_an_evaluation_is_described_in_its_order() -> None:
    plan = EvaluationPlan(("mean",), (3600.0,), 86_400.0, "time", seeds=(0,))
    (row,) = evaluate(random_cascades(60), plan, data="x").rows
    described = names([cells[0] for cells in table(FORECASTERS, "Measure")])
    assert described == [*row, "train"]


def test_every_header_that_is_named_is_one() -> None:
    rejected = Rejected(RejectReason.SCHEMA, "why")
    of_letters = [name for name, _ in dead_letter_headers(Record(b""), rejected, "topic", 0)]
    known = {*of_letters, TARGET_HEADER, WATERMARK_HEADER, HEARTBEAT_HEADER}
    for path in DOCUMENTS:
        text = re.sub(r"\s+", " ", FENCE.sub("", path.read_text(encoding="utf-8")))
        named = re.findall(r"\b[Hh]eaders? `([\w-]+)`(?: and `([\w-]+)`)?", text)
        assert {name for names in named for name in names if name} <= known, path


# --- examples


def test_the_readmes_events_and_its_forecast_are_valid() -> None:
    blocks = [block for language, block in FENCE.findall(README.read_text(encoding="utf-8")) if language == "json"]
    events, forecast = blocks
    assert all(isinstance(decode_event(line.encode()), Event) for line in events.splitlines())
    record = msgspec.json.decode(forecast, type=ForecastRecord)
    assert list(msgspec.json.decode(forecast)) == [field.name for field in msgspec.structs.fields(ForecastRecord)]
    assert record.low <= record.expected <= record.high
    assert record.trajectory[-1] == (record.horizon_seconds, record.expected)


# --- Docker compose


def test_compose_runs_the_kafka_of_the_pom() -> None:
    assert re.findall(r"^    image: (.+)$", COMPOSE.read_text(encoding="utf-8"), re.MULTILINE) == [
        f"apache/kafka:{kafka_version()}"
    ]


def test_compose_is_reachable_from_this_machine_only() -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is no dependency of the project")
    kafka = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]["kafka"]
    assert kafka["ports"] == ["127.0.0.1:9092:9092"]
    assert all(isinstance(value, str) for value in kafka["environment"].values())
    assert "HOST://127.0.0.1:9092" in kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"]
