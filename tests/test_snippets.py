"""What the documents print can be used as it stands: configuration, code, durations, models, targets of make."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from forecasters.registry import parse_spec
from graph import Event, decode_event
from graph.durations import parse_duration
from streams.alerts.delivery import targets_file
from streams.alerts.rule_file import parse_rules
from streams.kafka.topics import declared_topics
from streams.settings import CONFIG_VARIABLE, Settings, load_settings
from streams.state.changelog import changelog_topic
from tests.test_docs import DOCUMENTS, FENCE, FORECASTERS, INLINE, PLACEHOLDER, ROOT, quoted_commands

SHOWN = {"", "json", "python", "toml", "yaml", "properties"}
"""Languages of blocks that a test below reads; commands stand in blocks without one."""


@dataclass(frozen=True)
class Snippet:
    """A fenced block of a document."""

    document: Path
    line: int
    language: str
    text: str


def snippets(*languages: str) -> list[Any]:
    """All blocks of these languages, named by place."""
    return [
        pytest.param(one, id=f"{one.document.relative_to(ROOT)}:{one.line}")
        for one in _snippets()
        if one.language in languages
    ]


def _snippets() -> Iterator[Snippet]:
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        for found in FENCE.finditer(text):
            yield Snippet(path, text.count("\n", 0, found.start()) + 1, found[1], found[2])


def test_every_block_is_of_a_language_that_is_read() -> None:
    assert {one.language for one in _snippets()} == SHOWN


# --- configuration


@pytest.fixture
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CASCADECAST_")]:
        monkeypatch.delenv(name)


@pytest.mark.usefixtures("_no_settings")
@pytest.mark.parametrize("snippet", snippets("toml"))
def test_a_toml_block_is_settings_rules_or_targets(
    snippet: Snippet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = tomllib.loads(snippet.text)
    if "targets" in found:
        monkeypatch.setattr(targets_file, "_secrets", lambda place, target: {})  # they name files of the reader's
        path = tmp_path / "targets.toml"
        path.write_text(snippet.text)
        assert len(targets_file.read_targets(path).targets) == len(found["targets"])
    elif "rule" in found:
        ranker: Any = SimpleNamespace(horizon_seconds=86_400.0, shares=(0.01, 0.05, 0.1))
        assert len(parse_rules(snippet.text, "a document", 86_400.0, lambda name: ranker).rules) == len(found["rule"])
    else:
        path = tmp_path / "worker.toml"
        path.write_text(snippet.text)
        monkeypatch.setenv(CONFIG_VARIABLE, str(path))
        settings = load_settings()
        assert {key: getattr(settings, key) for key in found if not isinstance(found[key], list | str)} == {
            key: value for key, value in found.items() if not isinstance(value, list | str)
        }


@pytest.mark.parametrize("snippet", snippets("yaml"))
def test_a_yaml_block_is_a_part_of_the_pods_and_names_settings(snippet: Snippet) -> None:
    found = yaml.safe_load(snippet.text)
    workers = next(yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "workers.yaml").read_text()))
    pod = workers["spec"]["template"]["spec"]
    assert set(found) <= set(pod) | set(pod["containers"][0])
    assert {one["name"].removeprefix("CASCADECAST_").lower() for one in found["env"]} <= set(Settings.model_fields)


def test_every_variable_that_is_named_is_one() -> None:
    known = {f"CASCADECAST_{name.upper()}" for name in Settings.model_fields} | {CONFIG_VARIABLE}
    for path in DOCUMENTS:
        named = set(re.findall(r"\bCASCADECAST_[A-Z_]*[A-Z]\b", path.read_text(encoding="utf-8")))
        assert named <= known, path


@pytest.mark.parametrize("snippet", snippets("properties"))
def test_the_mirror_takes_every_topic_and_the_state(snippet: Snippet) -> None:
    keys = dict(re.split(r"\s*=\s*", line, maxsplit=1) for line in snippet.text.splitlines() if line)
    patterns = [part.strip() for part in keys["main->spare.topics"].split(",")]
    topics = [spec.name for spec in declared_topics()] + [changelog_topic(Settings.model_fields["app_id"].default)]
    assert [name for name in topics if not any(re.fullmatch(pattern, name) for pattern in patterns)] == []


# --- code and events


@pytest.mark.parametrize("snippet", snippets("python"))
def test_a_python_block_is_valid_and_what_it_imports_is_there(snippet: Snippet) -> None:
    for node in ast.walk(ast.parse(snippet.text)):
        if isinstance(node, ast.Import):
            for name in node.names:
                assert importlib.util.find_spec(name.name), name.name
        elif isinstance(node, ast.ImportFrom):
            module = importlib.import_module(str(node.module))
            assert [one.name for one in node.names if not hasattr(module, one.name)] == []


def test_the_event_with_a_known_growth_is_an_event() -> None:
    (block,) = (one.text for one in _snippets() if (one.document, one.language) == (FORECASTERS, "json"))
    assert all(isinstance(decode_event(line.encode()), Event) for line in block.splitlines())


# --- values of options, and what is no command of ours


def durations(text: str) -> None:
    for part in text.split(","):
        parse_duration(part)


def models(text: str) -> None:
    """Of an alias or a version the model alone; ``all`` is none, and the alerts' ranker is in no registry."""
    for name in (part.partition("@")[0] for part in text.split(",")):
        if name.partition(":")[0] not in ("all", "ranker"):
            parse_spec(name)


VALUES: dict[str, Callable[[str], None]] = {
    "--observe": durations,
    "--horizon": durations,
    "--fold": durations,
    "--delay": durations,
    "--models": models,
    "--reference": models,
}
"""Options whose value a command reads itself, by what reads it."""


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_durations_and_models_of_command_lines_are_some(document: Path) -> None:
    for quoted in quoted_commands(document.read_text(encoding="utf-8")):
        words = shlex.split(quoted.text, comments=True)
        for option, value in pairwise(words):
            if option in VALUES and not PLACEHOLDER.fullmatch(value) and not value.startswith("-"):
                VALUES[option](value)


def other_commands(program: str) -> set[str]:
    """Command lines of another program, in blocks and within sentences."""
    found = set()
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        blocks = [line for language, block in FENCE.findall(text) if language == "" for line in block.splitlines()]
        found |= {line for line in (*blocks, *INLINE.findall(FENCE.sub("", text))) if line.startswith(f"{program} ")}
    return found


def test_every_module_that_is_run_is_there_and_knows_its_options() -> None:
    lines = other_commands("python -m")
    assert lines
    for line in lines:
        _, _, name, *arguments = shlex.split(line)
        spec = importlib.util.find_spec(name)
        main = Path((spec and spec.origin) or "nowhere")
        code = (main.with_name("__main__.py") if main.name == "__init__.py" else main).read_text(encoding="utf-8")
        assert [one for one in arguments if one.startswith("--") and f'"{one}"' not in code] == [], line


def test_every_target_of_make_is_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    lines = other_commands("make")
    assert lines
    assert [line for line in lines if f"\n{line.split()[1]}:" not in makefile] == []
