"""The backbone of this package: a GPT-2-shaped decoder with a cache of keys and values, light enough for a stream.

Pre-norm blocks of causal self-attention and a GELU network of four times the width (Radford et al. 2019). Positions are
not embedded: each token tells its own time, so that any number of steps can follow.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from forecasters.autocas.config import AutoCasConfig

Cache = list[tuple[Tensor, Tensor]]
"""Keys and values of each layer, (B, H, S, width / H)."""


class Block(nn.Module):
    """One layer. Shapes: x (B, T, width), visible (B, 1, T, S + T) -> (B, T, width)."""

    def __init__(self, config: AutoCasConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.attention_norm, self.network_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.attended = nn.Linear(width, width)
        self.network = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x: Tensor, visible: Tensor, cache: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        B, T, width = x.shape
        packed = self.queries_keys_values(self.attention_norm(x))
        q, k, v = packed.view(B, T, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (B, H, T, width / H)
        if cache is not None:
            k, v = torch.cat([cache[0], k], dim=2), torch.cat([cache[1], v], dim=2)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=visible)
        x = x + self.dropout(self.attended(mixed.transpose(1, 2).reshape(B, T, width)))
        return x + self.dropout(self.network(self.network_norm(x))), (k, v)


class ScratchModel(nn.Module):
    """``layers`` blocks and a last norm; obeys `forecasters.autocas.backbone.Backbone`."""

    scale = 1.0

    def __init__(self, config: AutoCasConfig) -> None:
        super().__init__()
        self.width = config.width
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)

    def read(self, inputs: Tensor, present: Tensor, cache: Cache | None = None) -> tuple[Tensor, Cache]:
        T, S = inputs.shape[1], present.shape[1]
        place = torch.arange(S, device=inputs.device)
        mine = place[S - T :, None]
        # an absent token sees itself alone: a softmax over nothing would be NaN
        visible = ((place <= mine) & present[:, None, :]) | (place == mine)  # (B, T, S)
        x, kept = inputs, []
        for layer, block in enumerate(self.blocks):
            x, keys_values = block(x, visible[:, None], None if cache is None else cache[layer])
            kept.append(keys_values)
        hidden: Tensor = self.norm(x)
        return hidden, kept
