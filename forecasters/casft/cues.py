"""The dynamic cues: a cascade's jump ODE, solved over what was observed and propagated to the horizon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from forecasters.casft.config import CasFTConfig
from forecasters.casft.intensity import SoftplusIntensity
from forecasters.concat.config import GRAPHWAVE_FEATURES
from forecasters.concat.dynamics import DeepDynamics, Dynamics, LinearDynamics
from forecasters.concat.encoder import EventEncoder
from forecasters.concat.intensity import QUADRATURE_TOLERANCE, TRAINING_TOLERANCE, integrate_pieces
from forecasters.concat.jump_ode import Path, solve

YOUNGEST: Final = 1e-9
"""Of the horizon; keeps an observation of no time at all from dividing by 0."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """B observed sequences in time scaled so that the horizon t_p is 1; right-aligned, absent events come first.

    Shapes: times (B, N) in [0, observed], 0 where absent; present (B, N) bool; observed (B,) = t_o / t_p in [0, 1];
    graphwave (B, N, 40).
    """

    times: Tensor
    present: Tensor
    observed: Tensor
    graphwave: Tensor


@dataclass(frozen=True, slots=True)
class Cues:
    """Shapes: state (B, d) = h(t_o); future (B, l), Lambda from t_o to the end of each of l intervals, or (B, 0) if not
    propagated; log_likelihood (B,) of the observed events."""

    state: Tensor
    future: Tensor
    log_likelihood: Tensor


def interval_ends(observed: Tensor, intervals: int) -> Tensor:
    """The starts of the l equal intervals of [t_o, 1], (l, B); each ends where the next begins, the last at 1."""
    parts = torch.arange(intervals, device=observed.device, dtype=observed.dtype) / intervals
    return observed + parts[:, None] * (1.0 - observed)


class CueNet(nn.Module):
    """ConCat's encoder and jump ODE (arXiv 2409.16623), with a softplus intensity and t_p = 1.

    The ends of the intervals are absent events: the state passes them unchanged, and one solution holds past and
    future.
    """

    def __init__(self, config: CasFTConfig) -> None:
        super().__init__()
        d = config.state_size
        self.intervals = config.intervals if config.ode_cues else 0
        self.encoder = EventEncoder(config.encoder)
        self.initial = nn.Parameter(torch.randn(d) * 0.1)  # h(0-), learned
        self.dynamics: Dynamics = LinearDynamics(d) if config.dynamics == "linear" else DeepDynamics(d)
        self.jump = nn.GRUCell(GRAPHWAVE_FEATURES, d)
        self.intensity = SoftplusIntensity(d)

    @property
    def size(self) -> int:
        """Width of the condition that `conditions` makes of the cues."""
        return self.dynamics.state_size + self.intervals

    def events(self, sequence: Sequence) -> tuple[Tensor, Tensor, Tensor]:
        """What the ODE is solved for, time-major: encoded (N + l', B, 40), times and present (N + l', B).

        l' asks for the state at the start of each interval; without propagation, at t_o alone.
        """
        relative = sequence.times / sequence.observed.clamp(min=YOUNGEST)[:, None]  # t / t_o, as the encoder reads it
        encoded = self.encoder(sequence.graphwave, None, relative, sequence.present).transpose(0, 1)
        asked = interval_ends(sequence.observed, max(self.intervals, 1))
        encoded = torch.cat([encoded, encoded.new_zeros(len(asked), *encoded.shape[1:])])
        times = torch.cat([sequence.times.t(), asked])
        present = torch.cat([sequence.present.t(), torch.zeros_like(asked, dtype=torch.bool)])
        return encoded, times, present

    def forward(self, sequence: Sequence, *, likelihood: bool = True) -> Cues:
        """The cues of a batch; without ``likelihood`` the log likelihood is left at 0, which saves time."""
        N = sequence.times.shape[1]
        path = solve(self.dynamics, self.jump, self.initial, *self.events(sequence))
        tolerance = TRAINING_TOLERANCE if self.training else QUADRATURE_TOLERANCE
        log_likelihood = sequence.observed.new_zeros(len(sequence.observed))
        if likelihood:
            # sum_i log lambda(t_i^-) - Lambda(t_o)
            events = sequence.present.t()
            rows = events.nonzero()[:, 1]
            before = self.intensity.log(path.before[:N][events])
            past = integrate_pieces(self.intensity, _part(path, 0, N + 1), tolerance).sum(0)
            log_likelihood = log_likelihood.index_add(0, rows, before) - past
        return Cues(path.before[N], self._future(_part(path, N + 1, len(path.splits)), tolerance), log_likelihood)

    def _future(self, path: Path, tolerance: float) -> Tensor:
        """Lambda from t_o to the end of each interval, (B, l), or (B, 0) without propagation."""
        pieces = integrate_pieces(self.intensity, path, tolerance)  # (S, B)
        counts = torch.tensor(path.splits, device=pieces.device)
        interval = torch.repeat_interleave(torch.arange(len(counts), device=pieces.device), counts)
        masses = pieces.new_zeros(self.intervals, pieces.shape[1])
        if self.intervals:
            masses = masses.index_add(0, interval, pieces)  # P_1 .. P_l
        return masses.cumsum(0).t()

    def conditions(self, cues: Cues) -> Tensor:
        """c = [h(t_o); Lambda at the l interval ends], the latter as log(1 + Lambda / R), (B, size)."""
        return torch.cat([cues.state, torch.log1p(cues.future / self.intensity.pace)], dim=1)


def _part(path: Path, first: int, last: int) -> Path:
    """The pieces of the intervals first .. last - 1."""
    begin, end = sum(path.splits[:first]), sum(path.splits[:last])
    return Path(
        path.starts[begin:end],
        path.coefficients[begin:end],
        path.scales[begin:end],
        path.widths[begin:end],
        path.before,
        path.final,
        path.splits[first:last],
    )
