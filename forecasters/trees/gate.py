"""The gate between populations as arrays: who forecasts with trees needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from forecasters.platform_votes import expected_shares

if TYPE_CHECKING:
    from forecasters.context.network import ContextNet

Floats = NDArray[np.float64]

PREFIX: Final = "gate."


@dataclass(frozen=True, slots=True, eq=False)
class GateArrays:
    """That of a `ContextNet`: scaled features through layers with SiLU between them, and softmax.

    Shapes: centre, spread (F,); each layer's weight (outputs, inputs) and bias (outputs,); D populations come out.
    """

    populations: tuple[str, ...]
    centre: Floats
    spread: Floats
    layers: tuple[tuple[Floats, Floats], ...]
    largest: float
    """Scaled features are clipped there, as in training."""

    @classmethod
    def of(cls, net: ContextNet) -> Self:
        """The gate of a fitted context network."""
        from torch import nn

        from forecasters.context.network import LARGEST_DEVIATION

        def array(tensor: Any) -> Floats:
            return np.asarray(tensor.detach().numpy(), dtype=np.float64)

        linear = [layer for layer in net.gate if isinstance(layer, nn.Linear)]
        scale = net.gate_scale
        return cls(
            net.populations,
            array(scale.centre)[0, 0],
            array(scale.spread)[0, 0],
            tuple((array(layer.weight), array(layer.bias)) for layer in linear),
            LARGEST_DEVIATION,
        )

    def shares(self, features: Floats, votes: Floats) -> Floats:
        """How much of each population there is in posts, (B, D): from raw features (B, F) and streams' votes (B, D)."""
        x = np.clip((features - self.centre) / self.spread, -self.largest, self.largest)
        for number, (weight, bias) in enumerate(self.layers):
            if number:
                x = x / (1.0 + np.exp(-x))
            # one row after another would give the same bits, whatever else is in the batch: so does einsum
            x = np.einsum("bi,oi->bo", x, weight) + bias
        x = np.exp(x - x.max(axis=1, keepdims=True))
        return np.asarray(expected_shares(x / x.sum(axis=1, keepdims=True), votes))

    def tensors(self) -> dict[str, NDArray[Any]]:
        """What model.safetensors keeps."""
        found: dict[str, NDArray[Any]] = {"centre": self.centre, "spread": self.spread}
        for number, (weight, bias) in enumerate(self.layers):
            found |= {f"{number}.weight": weight, f"{number}.bias": bias}
        return {PREFIX + name: array for name, array in found.items()} | {f"{PREFIX}largest": np.array([self.largest])}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, NDArray[Any]], populations: Sequence[str]) -> Self:
        """Read back `tensors`; raises `KeyError` or `ValueError` where something is missing or does not fit."""
        own = {
            name.removeprefix(PREFIX): np.asarray(array, np.float64)
            for name, array in tensors.items()
            if name.startswith(PREFIX)
        }
        depth = sum(name.endswith(".weight") for name in own)
        layers = tuple((own[f"{number}.weight"], own[f"{number}.bias"]) for number in range(depth))
        width = len(own["centre"])
        for weight, bias in layers:
            if weight.shape != (len(bias), width):
                raise ValueError("the layers of the gate do not fit together")
            width = len(bias)
        if not layers or width != len(populations) or own["spread"].shape != own["centre"].shape:
            raise ValueError("the gate does not fit its populations")
        return cls(tuple(populations), own["centre"], own["spread"], layers, float(own["largest"][0]))
