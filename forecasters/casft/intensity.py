"""CasFT's intensity: a softplus, in events per horizon."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from forecasters.concat.intensity import Intensity

UNDERFLOW = -15.0
"""Below it log softplus(x) is x to the resolution of float32, and softplus itself soon 0."""


class SoftplusIntensity(Intensity):
    """lambda(h) = R softplus(MLP(h)), MLP: d -> 4d softplus -> 1.

    ``pace`` R, in events per horizon, is the usual pace of the training cascades: times are scaled so that the horizon
    is 1, and a hundred events in the first of 24 hours are a pace of thousands, which no layer reaches from near 0.
    """

    pace: Tensor

    def __init__(self, state_size: int) -> None:
        super().__init__(state_size)
        self.register_buffer("pace", torch.ones(()))

    def logit(self, state: Tensor) -> Tensor:
        """MLP(h) for ``state`` (..., d) -> (...)."""
        out: Tensor = self.outer(nn.functional.softplus(self.inner(state))).squeeze(-1)
        return out

    def forward(self, state: Tensor) -> Tensor:
        """lambda for ``state`` (..., d) -> (...), events per horizon."""
        return self.pace * nn.functional.softplus(self.logit(state))

    def log(self, state: Tensor) -> Tensor:
        """log lambda, finite even where the softplus underflows."""
        x = self.logit(state)
        # the inner clamp keeps the gradient of the branch that is not taken finite
        softplus = nn.functional.softplus(x.clamp(min=UNDERFLOW))
        return torch.log(self.pace) + torch.where(x < UNDERFLOW, x, torch.log(softplus))
