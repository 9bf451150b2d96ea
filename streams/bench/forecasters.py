"""ConCat's fast path against the solver of its authors: the same batch, the same run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor, nn

from forecasters.concat.dynamics import LinearDynamics, perturb
from forecasters.concat.intensity import Intensity, integrate
from forecasters.concat.jump_ode import solve
from forecasters.concat.reference import solve_dopri5
from streams.bench.timing import fastest

STATE: Final = 64
ENCODED: Final = 80
REFERENCE_TOLERANCE: Final = 1e-4
"""As the authors train and predict."""
EXACT_TOLERANCE: Final = 1e-7

Solution = tuple[Tensor, Tensor, Tensor]


class _Problem:
    """A batch at irregular times, f perturbed off its zero start: at f = 0 any solver is exact."""

    def __init__(self, batch: int, events: int, dtype: torch.dtype) -> None:
        generator = torch.Generator().manual_seed(0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.dynamics, self.intensity = LinearDynamics(STATE), Intensity(STATE)
            self.cell = nn.GRUCell(ENCODED, STATE)
        perturb(self.dynamics, 1.0, generator)
        for module in (self.dynamics, self.intensity, self.cell):
            module.to(dtype)
        self.initial = torch.randn(STATE, generator=generator).to(dtype)
        self.encoded = torch.randn(events, batch, ENCODED, generator=generator).to(dtype)
        # cubed: most events early, the way attention decays
        times = torch.rand(events, batch, generator=generator, dtype=torch.float64) ** 3
        self.times = times.sort(dim=0).values.to(dtype)
        self.present = torch.ones(events, batch, dtype=torch.bool)

    def arguments(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.initial, self.encoded, self.times, self.present

    def fast(self) -> Solution:
        path = solve(self.dynamics, self.cell, *self.arguments())
        return path.before, path.final, integrate(self.intensity, path)

    def dopri5(self, tolerance: float, *, adjoint: bool) -> Solution:
        return solve_dopri5(
            self.dynamics, self.intensity, self.cell, *self.arguments(), tolerance=tolerance, adjoint=adjoint
        )

    def gradient(self, solver: Callable[[], Solution]) -> None:
        """Forward and backward through everything that training touches."""
        before, final, integral = solver()
        loss = final.pow(2).sum() + integral.sum() - self.intensity.log(before).sum()
        parameters = [p for m in (self.dynamics, self.intensity, self.cell) for p in m.parameters()]
        torch.autograd.grad(loss, parameters)


def run(progress: Callable[[str], None] | None = None, batch: int = 64, events: int = 100) -> list[dict[str, Any]]:
    """Rows: largest difference from the exact solution, forward and forward-backward times with their ratios."""
    say = progress or (lambda _: None)
    say(f"ConCat's states of {batch} cascades of {events} events, against dopri5 at {EXACT_TOLERANCE:g}")
    problem = _Problem(batch, events, torch.float32)
    with torch.no_grad():
        exact = _Problem(batch, events, torch.float64).dopri5(EXACT_TOLERANCE, adjoint=False)
        difference = max(float((x.double() - y).abs().max()) for x, y in zip(problem.fast(), exact, strict=True))
    reference = f"torchdiffeq dopri5, adjoint, tolerance {REFERENCE_TOLERANCE:g}"

    def published() -> Solution:
        return problem.dopri5(REFERENCE_TOLERANCE, adjoint=True)

    rows: list[dict[str, Any]] = [
        {
            "name": "concat difference",
            "value": difference,
            "unit": "largest absolute",
            "reference": f"torchdiffeq dopri5, tolerance {EXACT_TOLERANCE:g}, double precision",
            "reference_value": 0.0,
            "ratio": None,
        }
    ]
    say("ConCat forward, fast path and dopri5")
    with torch.no_grad():
        rows.append(_row("concat forward", fastest(problem.fast), reference, fastest(published, 3)))
    say("ConCat forward and backward, fast path and adjoint dopri5")
    ours = fastest(lambda: problem.gradient(problem.fast))
    theirs = fastest(lambda: problem.gradient(published), 2)
    rows.append(_row("concat forward and backward", ours, reference, theirs))
    return rows


def _row(name: str, seconds: float, reference: str, reference_seconds: float) -> dict[str, Any]:
    return {
        "name": name,
        "value": round(seconds, 6),
        "unit": "s a batch",
        "reference": reference,
        "reference_value": round(reference_seconds, 6),
        "ratio": round(reference_seconds / seconds, 2),
    }
