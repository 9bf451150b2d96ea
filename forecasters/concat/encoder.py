"""ConCat's causal encoder: what each event means, given the events before it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from forecasters.concat.config import GRAPHWAVE_FEATURES, ConCatConfig


def time_code(times: Tensor, width: int) -> Tensor:
    """Sinusoidal code (..., width) of normalised times (...): sin and cos of t / 10000^(2i / width) by turns."""
    rates = torch.exp(torch.arange(0, width, 2, device=times.device) * (-math.log(10_000.0) / width))
    angles = times[..., None] * rates.to(times)
    return torch.stack([torch.sin(angles), torch.cos(angles)], dim=-1).flatten(-2)


class CausalStack(nn.Module):
    """One post-norm transformer layer in which event i sees events 1..i only.

    Shapes: x (B, N, width), visible (B, N, N) -> (B, N, width).
    """

    def __init__(self, width: int, config: ConCatConfig) -> None:
        super().__init__()
        inner = config.attention_heads * config.attention_head_size
        self.heads = config.attention_heads
        self.queries_keys_values = nn.Linear(width, 3 * inner, bias=False)
        self.attended = nn.Linear(inner, width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, config.feed_forward_size),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.feed_forward_size, width),
        )
        self.attention_norm, self.feed_forward_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, visible: Tensor) -> Tensor:
        B, N, _ = x.shape
        q, k, v = self.queries_keys_values(x).view(B, N, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (B, H, N, dk)
        attention = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=visible[:, None])
        mixed = self.attended(attention.transpose(1, 2).reshape(B, N, -1))
        x = self.attention_norm(x + self.dropout(mixed))
        out: Tensor = self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))
        return out


class EventEncoder(nn.Module):
    """e_i = Enc(x_1 .. x_i): one stack for the event's place in its cascade, one for its user where embedded.

    The local stack alone is told the time, as published.
    """

    def __init__(self, config: ConCatConfig) -> None:
        super().__init__()
        self.local = CausalStack(GRAPHWAVE_FEATURES, config)
        self.global_ = CausalStack(config.global_features, config) if config.global_features else None

    def forward(self, local: Tensor, global_: Tensor | None, times: Tensor, present: Tensor) -> Tensor:
        """Encode a batch; present events of a sample come last.

        Shapes: local (B, N, 40), global_ (B, N, g) or None, times (B, N) in [0, 1], present (B, N) -> (B, N, 40 + g).
        """
        N = times.shape[1]
        causal = torch.ones(N, N, dtype=torch.bool, device=times.device).tril()
        # an absent event sees itself alone: a softmax over nothing would be NaN
        itself = torch.eye(N, dtype=torch.bool, device=times.device)
        visible = (causal & present[:, None, :]) | itself
        encoded: Tensor = self.local(local + time_code(times, GRAPHWAVE_FEATURES), visible)
        if self.global_ is not None:
            if global_ is None:
                raise ValueError("this model was built with a global user embedding, but the batch has none")
            encoded = torch.cat([encoded, self.global_(global_, visible)], dim=2)
        return encoded
