"""The dynamic cues: a cascade's jump ODE, solved over what was observed and propagated to the horizon."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from forecasters.casft.config import CasFTConfig
from forecasters.casft.intensity import SoftplusIntensity
from forecasters.concat.dynamics import DeepDynamics, Dynamics, LinearDynamics
from forecasters.concat.encoder import EventEncoder
from forecasters.concat.intensity import integrate_pieces, tolerance_for
from forecasters.concat.jump_ode import Path, solve
from forecasters.concat.model import Batch as Observation


@dataclass(frozen=True, slots=True)
class Cues:
    """Shapes: state (B, d) = h(t_o); future (B, l), Lambda from t_o to the end of each of l intervals, or (B, 0) if not
    propagated; log_likelihood (B,) of the observed events."""

    state: Tensor
    future: Tensor
    log_likelihood: Tensor


def interval_starts(observed: Tensor, intervals: int) -> Tensor:
    """The starts of the l equal intervals of [t_o, 1], (l, B), for t_o / t_p ``observed`` (B,)."""
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
        self.jump = nn.GRUCell(config.encoder.encoded_size, d)
        self.intensity = SoftplusIntensity(d)

    @property
    def size(self) -> int:
        """Width of the condition that `conditions` makes of the cues."""
        return self.dynamics.state_size + self.intervals

    def events(self, observation: Observation, observed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the ODE is solved for, time-major: encoded (N + l', B, e), times and present (N + l', B).

        l' asks for the state at the start of each interval; without propagation, at t_o alone.
        """
        o = observation
        encoded = self.encoder(o.graphwave, o.users, o.times, o.present).transpose(0, 1)
        asked = interval_starts(observed, max(self.intervals, 1))
        encoded = torch.cat([encoded, encoded.new_zeros(len(asked), *encoded.shape[1:])])
        times = torch.cat([o.times.t() * observed, asked])  # t / t_o as the encoder reads it, times t_o / t_p
        present = torch.cat([o.present.t(), torch.zeros_like(asked, dtype=torch.bool)])
        return encoded, times, present

    def forward(self, observation: Observation, observed: Tensor, *, likelihood: bool = True) -> Cues:
        """The cues of B cascades; without ``likelihood`` the log likelihood is left at 0, which saves time.

        ``observation`` has times in observation times, as ConCat reads them; ``observed`` (B,) is t_o / t_p in [0, 1].
        """
        N = observation.times.shape[1]
        path = solve(self.dynamics, self.jump, self.initial, *self.events(observation, observed))
        tolerance = tolerance_for(training=self.training, likelihood=likelihood)
        log_likelihood = torch.zeros_like(observed)
        if likelihood:
            events = observation.present.t()
            # sum_i log lambda(t_i^-) - Lambda(t_o)
            rows = events.nonzero()[:, 1]
            before = self.intensity.log(path.before[:N][events])
            past = integrate_pieces(self.intensity, _part(path, 0, N + 1), tolerance).sum(0)
            log_likelihood = log_likelihood.index_add(0, rows, before) - past
        return Cues(path.before[N], self._future(_part(path, N + 1, len(path.splits)), tolerance), log_likelihood)

    def _future(self, path: Path, tolerance: float) -> Tensor:
        """Lambda from t_o to the end of each interval, (B, l), or (B, 0) without propagation."""
        masses = path.final.new_zeros(self.intervals, len(path.final))
        if self.intervals:
            pieces = integrate_pieces(self.intensity, path, tolerance)  # (S, B)
            interval = torch.repeat_interleave(torch.tensor(path.splits, device=pieces.device))
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
