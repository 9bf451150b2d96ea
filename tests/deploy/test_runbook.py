"""What the runbook says to do is done, as it says it."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import numpy as np

from forecasters.dataset import cases
from forecasters.mean import MeanForecaster
from forecasters.model_store import ModelStore
from tests.forecasters.cascades import random_cascades

RUNBOOK = (Path(__file__).parents[2] / "deploy" / "runbook.md").read_text()


def tar(which: str, folder: Path, store: Path) -> None:
    """Run the runbook's command."""
    (line,) = re.findall(rf"`(tar --{which} [^`]+)`", RUNBOOK)
    words = [str(store) if word == "MODELS_DIR" else word for word in shlex.split(line)]
    subprocess.run(words, cwd=folder, check=True)


def test_a_model_store_comes_back_from_its_archive_with_versions_and_aliases(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    mean = MeanForecaster().fit(cases(random_cascades(20), 3600.0, 86_400.0), [])
    store.publish(mean)
    store.publish(mean)
    before = [(one.name, one.version, one.aliases) for one in map(store.get, ["mean", "mean"], ["1", "2"])]
    tar("create", tmp_path, store.root)
    restored = tmp_path / "restored"
    restored.mkdir()
    tar("extract", tmp_path, restored)
    again = ModelStore(restored)
    assert [(one.name, one.version, one.aliases) for one in map(again.get, ["mean", "mean"], ["1", "2"])] == before
    model = again.get("mean", "2").load()
    assert isinstance(model, MeanForecaster)
    np.testing.assert_array_equal(model.means, mean.means)
