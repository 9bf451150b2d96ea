"""AutoCas as a network: projections into and out of a causal language model, prompts before the tokens, two heads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn

from forecasters.autocas.backbone import Backbone
from forecasters.autocas.config import SCRATCH, AutoCasConfig
from forecasters.autocas.language_model import LanguageModel
from forecasters.autocas.scratch import ScratchModel
from forecasters.autocas.tokens import OBSERVED, SHAPE, TOKEN_SIZE
from forecasters.context.network import floored

LARGEST_DEVIATION: Final = 5.0
"""Standard deviations: what lies beyond was never seen in training, and no network should extrapolate to it."""
SMALLEST_SPREAD: Final = 1e-3
"""A feature that never varied in training must not blow up later."""


@dataclass(frozen=True, slots=True)
class Batch:
    """B observations. The last observed token of each is in column ``edge``; observed ones end there, future ones
    begin after it, absent ones lie on both sides.

    Shapes: tokens (B, N, TOKEN_SIZE) raw; present (B, N) bool; growth (B,) and hidden (B, h) of the context network,
    or None.
    """

    tokens: Tensor
    present: Tensor
    edge: int
    growth: Tensor | None = None
    hidden: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        growth, hidden = (None if t is None else t.to(device) for t in (self.growth, self.hidden))
        return Batch(self.tokens.to(device), self.present.to(device), self.edge, growth, hidden)


@dataclass(frozen=True, slots=True)
class Output:
    """Shapes: total (B,) = log2(1 + increment until the horizon) >= 0; following (B, N) = log2(1 + reshares of the
    step after each token) >= 0."""

    total: Tensor
    following: Tensor


class AutoCasNet(nn.Module):
    """[prompts, tokens] -> frozen or small causal model -> next step at every position, and the total at the edge.

    With ``context_hidden`` > 0 the total is floored(context growth + correction), the correction starting at zero.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, config: AutoCasConfig, language_model: LanguageModel | None, context_hidden: int = 0) -> None:
        super().__init__()
        if (config.backbone == SCRATCH) != (language_model is None):
            raise ValueError(f"backbone {config.backbone!r} and the language model given do not go together")
        self.config = config
        self.scratch = ScratchModel(config) if language_model is None else None
        if self.scratch is not None and config.frozen:
            self.scratch.requires_grad_(False)
        # in a tuple, so that torch does not take it for a part of this module
        self._outside = (language_model,)
        width = self.backbone.width
        self.prompts = nn.Parameter(torch.randn(config.prompts, width) * self.backbone.scale)
        norm = nn.LayerNorm(width)
        nn.init.constant_(norm.weight, self.backbone.scale)
        self.inward = nn.Sequential(nn.Linear(TOKEN_SIZE, width), norm)
        self.outward = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, config.width), nn.GELU(), nn.Dropout(config.dropout)
        )
        self.next_step = nn.Linear(config.width + TOKEN_SIZE, 1)
        self.total = nn.Linear(config.width + context_hidden, 1)
        for head in (self.next_step, self.total):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        self.register_buffer("centre", torch.zeros(TOKEN_SIZE))
        self.register_buffer("spread", torch.ones(TOKEN_SIZE))

    @property
    def backbone(self) -> Backbone:
        """The small model of this network, or the language model outside it."""
        found = self.scratch if self.scratch is not None else self._outside[0]
        assert found is not None
        return found

    @property
    def language_model(self) -> LanguageModel | None:
        """The frozen model that is no part of this module's weights."""
        return self._outside[0]

    def on(self, device: torch.device) -> None:
        """Move to a device, together with the language model."""
        self.to(device)
        if self.language_model is not None:
            self.language_model.to(device)

    def start_at(self, tokens: Tensor, total: float, following: float) -> None:
        """Take the scale from observed ``tokens`` (M, TOKEN_SIZE), and let the heads begin at the given log2 means."""
        self.centre.copy_(tokens.double().mean(0))
        self.spread.copy_(tokens.double().std(0, correction=0).clamp(min=SMALLEST_SPREAD))
        self.centre[OBSERVED], self.spread[OBSERVED] = 0.5, 0.5
        with torch.no_grad():
            self.total.bias.fill_(total)
            self.next_step.bias.fill_(following)

    def scaled(self, tokens: Tensor) -> Tensor:
        """Raw tokens (..., TOKEN_SIZE) in standard deviations, clipped; SHAPE, which no roll-out knows, is 0 then."""
        x = ((tokens - self.centre) / self.spread).clamp(-LARGEST_DEVIATION, LARGEST_DEVIATION)
        carried = torch.ones_like(x)
        carried[..., SHAPE] = tokens[..., OBSERVED : OBSERVED + 1]
        return x * carried

    def begin(self, tokens: Tensor, present: Tensor) -> tuple[Tensor, Tensor, Tensor, Any]:
        """Read prompts and tokens: hidden (B, N, width), scaled tokens, present of all (B, P + N), and the cache.

        A row's prompts stand right before its first token, absent ones before them: padding on the left, which every
        language model understands.
        """
        B, N, _ = tokens.shape
        P = len(self.prompts)
        x = self.scaled(tokens)
        every = torch.cat([self.prompts.expand(B, -1, -1), self.inward(x)], dim=1)  # (B, P + N, width)
        place = torch.arange(P + N, device=tokens.device)
        first = present.long().argmax(1)[:, None]  # absent tokens before the first
        moved = torch.where(place < first + P, (place - first).clamp(min=0), place)
        every = every.gather(1, moved[:, :, None].expand(-1, -1, every.shape[2]))
        tail = torch.cat([present.new_ones(B, P), present], dim=1)
        all_present = torch.where(place < first + P, place >= first, tail)
        hidden, cache = self.backbone.read(every, all_present)
        return self.outward(hidden[:, P:]), x, all_present, cache

    def go_on(self, token: Tensor, present: Tensor, cache: Any) -> tuple[Tensor, Tensor, Any]:
        """Read one more token (B, 1, TOKEN_SIZE): hidden (B, 1, width), the scaled token, the new cache."""
        x = self.scaled(token)
        hidden, cache = self.backbone.read(self.inward(x), present, cache)
        return self.outward(hidden), x, cache

    def following(self, hidden: Tensor, scaled: Tensor) -> Tensor:
        """log2(1 + reshares of the next step), (B, N): linear in the token, corrected by what came before."""
        return floored(self.next_step(torch.cat([hidden, scaled], dim=-1)).squeeze(-1))

    def grown(self, at_edge: Tensor, batch: Batch) -> Tensor:
        """The total (B,) from the hidden state at the edge (B, width) and the context."""
        if batch.growth is None or batch.hidden is None:
            return floored(self.total(at_edge).squeeze(1))
        return floored(batch.growth + self.total(torch.cat([at_edge, batch.hidden], dim=1)).squeeze(1))

    def forward(self, batch: Batch) -> Output:
        """Total and next steps of a batch whose future tokens, if any, carry true counts."""
        hidden, scaled, _, _ = self.begin(batch.tokens, batch.present)
        return Output(self.grown(hidden[:, batch.edge], batch), self.following(hidden, scaled))


def training_loss(output: Output, total: Tensor, following: Tensor, step_weight: float) -> Tensor:
    """MSLE of the total + weight * mean squared log2 error of the next steps that are known.

    ``total`` (B,) and ``following`` (B, N) are true log2(1 + increment), NaN where unknown.
    """
    known = ~torch.isnan(following)
    error = torch.where(known, output.following - torch.nan_to_num(following), 0.0)
    steps = error.pow(2).sum() / known.sum().clamp(min=1)
    return torch.mean((output.total - total) ** 2) + step_weight * steps


def log_sum(first: Tensor, second: Tensor) -> Tensor:
    """log2(1 + a + b) from log2(1 + a) and log2(1 + b), both >= 0; exact where counts are astronomical."""
    high, low = torch.maximum(first, second), torch.minimum(first, second)
    return high + torch.log1p(torch.exp2(-high) * torch.expm1(low * math.log(2.0))) / math.log(2.0)
