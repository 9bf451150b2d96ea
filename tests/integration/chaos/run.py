"""One seed: its stream, its faults, its verdict as one JSON object."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from forecasters.blend import BlendForecaster
from forecasters.dataset import rolling_cases
from forecasters.model_store import ModelStore
from graph import UserError, write_events
from graph.event_files import read_cascades
from streams.settings import Settings
from streams.state.export import export_state
from streams.state.verification import verify_state
from tests.integration.chaos.comparison import (
    Findings,
    compare_dead_letters,
    compare_lives,
    compare_records,
    compare_repeats,
    compare_state,
    compare_with_events,
)
from tests.integration.chaos.expected import RULES, Expected, undisturbed
from tests.integration.chaos.installation import Installation, NotSettledError
from tests.integration.chaos.schedule import ALL_KINDS, Kind, Schedule, schedule
from tests.integration.chaos.stream import HORIZON_SECONDS, ChaosStream, Pool, make_stream, simulated_pool
from tests.integration.harness import PARTITIONS

LONG_GRACE_SECONDS: Final = 1e9
SHORT_GRACE_SECONDS: Final = 1800.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How large a run is. ``events`` in order of time are played within ``replay_seconds``."""

    events: int = 12_000
    replay_seconds: float = 20.0
    faults: int = 5
    settle_seconds: float = 240.0
    kinds: tuple[Kind, ...] = ALL_KINDS

    def schedule(self, seed: int) -> Schedule:
        """The faults of a seed."""
        return schedule(seed, faults=self.faults, end_seconds=self.replay_seconds + 4.0, kinds=self.kinds)


def settings_of(seed: int, models_dir: Path) -> dict[str, Any]:
    """Everything matures within the run. The seed also chooses how workers run: with every other cascades leave memory
    soon, else never; with every third outputs go out exactly once; with every fourth disks hold others' state too.
    """
    return {
        "models": ("blend", "hawkes", "trees"),
        "alert_rules": RULES,
        "models_dir": models_dir,
        "horizon_seconds": HORIZON_SECONDS,
        "forecast_delay_seconds": 120.0,
        "learn_every_seconds": 600.0,
        "score_ages_seconds": (120.0, 600.0, 1800.0),
        "retention_grace_seconds": SHORT_GRACE_SECONDS if seed % 2 else LONG_GRACE_SECONDS,
        "processing_guarantee": "exactly_once" if seed % 3 == 2 else "at_least_once",
        "standby_replicas": 1 if seed % 4 == 3 else 0,
        "watchdog_stall_seconds": 30.0,
        "heartbeat_seconds": 2.0,
        "shed": False,
        "batch_max_events": 300,
        "max_backlog": 500,
    }


def cheap_blend(directory: Path) -> Path:
    """A model store with a blend of the two training-free models and the trees, weighted by simulated cascades.

    The trees make forecasts hang on what the earlier posts of a source resemble.
    """
    store = ModelStore(directory / "models")
    path = directory / "cascades.jsonl"
    write_events(path, (event for cascade in simulated_pool(1, 40) for event in cascade))
    cases = rolling_cases(list(read_cascades(str(path))), HORIZON_SECONDS, per_cascade=3)
    store.publish(BlendForecaster.of_stored(["hawkes", "seismic", "trees"]).fit([], cases))
    return store.root


def run(seed: int, pool: Pool, models_dir: Path, plan: Plan, keep: Path | None = None) -> dict[str, Any]:
    """Run a seed and compare. What the processes said is kept under ``keep`` (else a temporary directory) if not all
    is equal; the verdict says where."""
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix=f"chaos-{seed}-", dir=keep))
    stream = make_stream(pool, seed, plan.events)
    faults = plan.schedule(seed)
    began = time.monotonic()
    settings = Settings(**settings_of(seed, models_dir), partitions=PARTITIONS)
    expected = undisturbed(stream.events, stream.strays, settings)
    passed = time.monotonic()
    findings = Findings()
    verdict = _play(directory, stream, faults, settings, expected, plan, seed, findings)
    verdict = {
        "seed": seed,
        "equal": not findings.found,
        "findings": findings.found,
        "records": len(stream.lines),
        "workers": faults.workers,
        "guarantee": settings.processing_guarantee,
        "standbys": settings.standby_replicas,
        **verdict,
        **findings.counts,
        "single_pass_seconds": round(passed - began, 1),
        "all_seconds": round(time.monotonic() - began, 1),
    }
    if findings.found:
        verdict["kept"] = str(directory)
        (directory / "verdict.json").write_text(json.dumps(verdict, indent=1, default=str))
        (directory / "expected.json").write_text(json.dumps(asdict(expected), default=list))
    else:
        shutil.rmtree(directory)
    return verdict


def _play(
    directory: Path,
    stream: ChaosStream,
    faults: Schedule,
    settings: Settings,
    expected: Expected,
    plan: Plan,
    seed: int,
    findings: Findings,
) -> dict[str, Any]:
    with Installation(directory, stream, _environment(settings), seed) as installation:
        try:
            seconds = installation.run(faults, plan.replay_seconds, plan.settle_seconds)
        except NotSettledError as error:
            findings.found.append(str(error))
            seconds = plan.settle_seconds
        kafka = installation.stream
        findings.counts["commits behind"] = sum(end - committed for committed, end in kafka.progress())
        found = {name: kafka.messages(name) for name in ("events", "forecasts", "scores", "alerts", "dead-letters")}
        compare_records("forecasts", found["forecasts"], expected.forecasts, findings)
        compare_records("scores", found["scores"], expected.scores, findings)
        compare_records("alerts", found["alerts"], expected.alerts, findings)
        compare_lives(found["alerts"], findings)
        compare_dead_letters(found["events"], found["dead-letters"], findings)
        if settings.processing_guarantee == "exactly_once":
            compare_repeats(findings)
        own = {"bootstrap_servers": kafka.bootstrap_servers, "app_id": kafka.app_id, "topic_prefix": kafka.prefix}
        there = settings.model_copy(update=own)
        try:
            compare_state(export_state(there), expected, findings)
            compare_with_events(verify_state(there), findings)
        except UserError as error:
            findings.found.append(f"the state cannot be read: {error}")
        if findings.found:
            for name, messages in found.items():
                _dump(directory / f"{name}.jsonl", messages)
        return {
            "faults": installation.struck,
            "exits": dict(installation.fleet.exits),
            "seconds": round(seconds, 1),
        }


def _environment(settings: Settings) -> dict[str, str]:
    """The settings that are not defaults, as variables."""
    changed = settings.model_dump(exclude_defaults=True, exclude={"partitions"})
    return {
        name.upper(): ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        for name, value in changed.items()
    }


def _dump(path: Path, messages: list[Any]) -> None:
    with path.open("w") as file:
        for message in messages:
            place = {"partition": message.partition(), "offset": message.offset(), "time": message.timestamp()[1]}
            file.write(json.dumps(place | {"value": (message.value() or b"").decode(errors="replace")}) + "\n")
