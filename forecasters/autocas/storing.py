"""What a trained AutoCas leaves on disk: its own weights, and of a language model only which one it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray

from forecasters.autocas.config import SCRATCH, AutoCasConfig
from forecasters.autocas.language_model import LanguageModel, load_language_model
from forecasters.autocas.model import AutoCasNet
from forecasters.context import ContextConfig
from forecasters.context.network import ContextNet
from forecasters.errors import ModelStoreError
from forecasters.members import fill_members, member_tensors


def backbone_record(nets: Sequence[AutoCasNet]) -> dict[str, Any]:
    """The name of the backbone and, of a language model, the hash of its weights."""
    net = nets[0]  # members differ in their weights alone, and a language model is the same for all
    record: dict[str, Any] = {"name": net.config.backbone}
    if net.language_model is not None:
        record |= {"initial": net.config.initial, "xxh3_128": net.language_model.fingerprint}
    return record


def language_model_of(config: AutoCasConfig) -> LanguageModel | None:
    """The language model that a configuration names, None for `scratch`; raises `ModelStoreError` without it."""
    return None if config.backbone == SCRATCH else load_language_model(config.backbone, config.initial)


def recorded_language_model(config: AutoCasConfig, record: dict[str, Any]) -> LanguageModel | None:
    """`language_model_of`, the very one of the training: raises `ModelStoreError` where its weights are others."""
    found = language_model_of(config)
    if found is not None and found.fingerprint != record["xxh3_128"]:
        raise ModelStoreError(
            f"the language model {config.backbone!r} is not the one this autocas was trained with: its weights have "
            f"the hash {found.fingerprint}, not {record['xxh3_128']}; restore that version of it, or train again"
        )
    return found


def tensors_of(nets: Sequence[AutoCasNet], context: ContextNet | None) -> dict[str, NDArray[Any]]:
    """What model.safetensors keeps."""
    tensors = member_tensors(nets)
    if context is not None:
        tensors |= {f"context.{name}": tensor.numpy() for name, tensor in context.state_dict().items()}
    return tensors


def restore(nets: Sequence[AutoCasNet], context: ContextNet | None, tensors: dict[str, NDArray[Any]]) -> None:
    """Fill the networks with `tensors_of`, ready to forecast; raises `RuntimeError` where they do not fit."""
    fill_members(nets, tensors)
    for net in nets:
        net.requires_grad_(False)
    if context is not None:
        own = {k.removeprefix("context."): torch.from_numpy(t) for k, t in tensors.items() if k.startswith("context.")}
        context.load_state_dict(own)
        context.eval().requires_grad_(False)


def context_record(context: ContextNet | None, config: ContextConfig) -> dict[str, Any] | None:
    """What `recorded_context` builds the network from."""
    return None if context is None else {"populations": list(context.populations), "settings": config.to_json()}


def recorded_context(record: dict[str, Any] | None) -> tuple[ContextNet | None, ContextConfig]:
    """An empty context network of the recorded form, and its configuration."""
    if record is None:
        return None, ContextConfig()
    config = ContextConfig.from_json(record["settings"])
    return ContextNet(config.size, tuple(record["populations"]), config), config
