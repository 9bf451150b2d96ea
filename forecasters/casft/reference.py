"""CasFT's cues as its authors solve them: adjoint dopri5 over every interval, observed and future.

The reference that the fast path (`cues`) is proved equal to and measured against; nothing else uses it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from forecasters.casft.cues import CueNet, Cues
from forecasters.concat.model import Batch as Observation
from forecasters.concat.reference import solve_dopri5_at_events


def reference_cues(
    net: CueNet, observation: Observation, observed: Tensor, *, tolerance: float = 1e-4, adjoint: bool = True
) -> Cues:
    """The cues by torchdiffeq; arguments as for `CueNet.forward`."""
    N = observation.times.shape[1]
    before, integrals, _, total = solve_dopri5_at_events(
        net.dynamics,
        net.intensity,
        net.jump,
        net.initial,
        *net.events(observation, observed),
        tolerance=tolerance,
        adjoint=adjoint,
    )
    past = integrals[N]  # Lambda(t_o)
    events = observation.present.t()
    logs = torch.where(events, net.intensity.log(before[:N]), 0.0).sum(0)
    ends = torch.cat([integrals[N + 1 :], total[None]])[: net.intervals]  # Lambda at the end of each interval
    return Cues(before[N], (ends - past).t(), logs - past)
