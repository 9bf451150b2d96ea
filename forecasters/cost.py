"""What a forecaster costs: its size, and how many cascades it forecasts in a second on one thread."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from forecasters.base import Case, Forecaster
from forecasters.model_files import TENSORS_FILE, read_tensors

ROUNDS: Final = 3
"""The fastest of three: what slows a round down is the machine's other work."""


def parameters_of(forecaster: Forecaster) -> int:
    """Numbers in the tensors of a forecaster as it is saved; 0 for one that is not made of tensors."""
    with tempfile.TemporaryDirectory() as name:
        forecaster.save(Path(name))
        if not (Path(name) / TENSORS_FILE).is_file():
            return 0
        return sum(int(tensor.size) for tensor in read_tensors(Path(name)).values())


def cascades_per_second(forecaster: Forecaster, cases: Sequence[Case]) -> float:
    """From cascades to forecasts, features included, in one batch on one thread."""
    best = float("inf")
    with _one_thread():
        for _ in range(ROUNDS):
            began = time.perf_counter()
            forecaster.forecast([forecaster.prepare(case.graph, case.as_of, case.horizon_seconds) for case in cases])
            best = min(best, time.perf_counter() - began)
    return len(cases) / max(best, 1e-9)


@contextmanager
def _one_thread() -> Iterator[None]:
    torch = sys.modules.get("torch")  # a forecaster without it should not pay for its import
    if torch is None:
        yield
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
