"""What a worker loads, and how much memory that takes before the first event."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from forecasters.model_store import SHIPPED_WEIGHTS, ModelStore

HEAVY = (
    "torch",
    "scipy",
    "networkx",
    "torch_geometric",
    "torchdiffeq",
    "transformers",
    "lightgbm",
    "matplotlib",
    "pandas",
)
PEAK_MEGABYTES = 1200

LOAD = """
import json, re, sys
from pathlib import Path
import streams.app
from streams.engine.inference import load_service
from streams.engine.lineup_loading import LineupLoader
from streams.settings import load_settings

settings = load_settings(models=sys.argv[1], models_dir=Path("no-store-of-its-own"))
load_service(settings, LineupLoader(settings, challengers=True))
status = Path("/proc/self/status").read_text()
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) // 1024
print(json.dumps({"peak": peak, "imported": [name for name in sys.argv[2].split(",") if name in sys.modules]}))
"""

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc")


def loaded(models: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", LOAD, models, ",".join(HEAVY)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_worker_without_neural_models_does_without_what_they_need() -> None:
    found = loaded("hawkes,seismic")
    assert found["imported"] == []
    assert found["peak"] < 200


def test_a_worker_with_all_shipped_models_stays_within_its_memory() -> None:
    names = ModelStore(SHIPPED_WEIGHTS, shipped=True).names()
    found = loaded(",".join(names))
    assert set(found["imported"]) <= {"torch"}
    assert found["peak"] < PEAK_MEGABYTES
