"""AutoCas on frozen language models: any of Hugging Face, and GGUF files. Needs the extra [llm]."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("transformers", reason="the extra [llm] is not installed")

import transformers

from forecasters.autocas import AutoCasForecaster
from forecasters.autocas.batching import collate
from forecasters.autocas.language_model import LanguageModel, load_language_model
from forecasters.autocas.rollout import roll_out
from forecasters.base import Case
from forecasters.dataset import rolling_cases
from forecasters.errors import ModelStoreError
from forecasters.registry import new_forecaster
from tests.forecasters.cascades import random_cascades

DAY = 86_400.0


def tiny(kind: str) -> Any:
    """A randomly initialised model of two layers, drawn otherwise than the control is."""
    torch.manual_seed(7)
    if kind == "gpt2":
        config = transformers.GPT2Config(
            vocab_size=50, n_positions=128, n_embd=32, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
        )
        return transformers.GPT2LMHeadModel(config)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.LlamaConfig(vocab_size=50, num_key_value_heads=1, bos_token_id=0, eos_token_id=0, **sizes)
    return transformers.LlamaForCausalLM(config)


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def directory(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as `save_pretrained` leaves it: positions by embedding (GPT-2), or by rotation (Llama)."""
    path = tmp_path_factory.mktemp(request.param)
    tiny(request.param).save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def some_cases() -> list[Case]:
    return rolling_cases(random_cascades(30), DAY, per_cascade=3)


@pytest.fixture(scope="module")
def fitted(directory: Path, some_cases: list[Case]) -> AutoCasForecaster:
    forecaster = new_forecaster(f"autocas:paper-llm={directory}")
    assert isinstance(forecaster, AutoCasForecaster)
    return forecaster.fit(some_cases[:60], some_cases[60:], epochs=2)


def model_of(forecaster: AutoCasForecaster) -> LanguageModel:
    assert forecaster.nets
    assert forecaster.nets[0].language_model is not None
    return forecaster.nets[0].language_model


def test_the_language_model_is_the_same_to_the_bit_after_training(directory: Path, fitted: AutoCasForecaster) -> None:
    assert model_of(fitted).fingerprint == load_language_model(str(directory)).fingerprint
    again = LanguageModel(model_of(fitted)._model)  # of its weights as they are now
    assert again.fingerprint == model_of(fitted).fingerprint


def test_only_what_was_trained_is_saved(directory: Path, fitted: AutoCasForecaster, tmp_path: Path) -> None:
    assert fitted.nets
    assert not any("layers" in name or "wte" in name for name in fitted.nets[0].state_dict())
    fitted.save(tmp_path)
    trained = sum(t.numel() for t in fitted.nets[0].state_dict().values())
    assert (tmp_path / "model.safetensors").stat().st_size < 4 * trained + 10_000


def test_forecasts_survive_their_files_and_another_model_is_refused(
    directory: Path, fitted: AutoCasForecaster, some_cases: list[Case], tmp_path: Path
) -> None:
    fitted.save(tmp_path)
    examples = [fitted.prepare(c.graph, c.as_of, c.horizon_seconds) for c in some_cases[:20]]
    loaded = AutoCasForecaster.load(tmp_path)
    np.testing.assert_array_equal(loaded.forecast(examples).increment, fitted.forecast(examples).increment)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace(model_of(fitted).fingerprint, "0" * 32))
    with pytest.raises(ModelStoreError, match="not the one this autocas was trained with"):
        AutoCasForecaster.load(tmp_path)
    config.write_text(config.read_text().replace(str(directory), str(tmp_path / "gone")))
    with pytest.raises(ModelStoreError, match=r"cannot be loaded.*give a Hugging Face id"):
        AutoCasForecaster.load(tmp_path)


def test_a_roll_out_with_its_cache_is_one_without(fitted: AutoCasForecaster, some_cases: list[Case]) -> None:
    assert fitted.nets
    examples = [fitted.prepare(c.graph, c.as_of, c.horizon_seconds) for c in some_cases[:20]]
    batch = collate(examples, None)
    with torch.inference_mode():
        total, steps = roll_out(fitted.nets[0], batch)
        same_total, same_steps = roll_out(fitted.nets[0], batch, cached=False)
    torch.testing.assert_close(total, same_total, rtol=1e-6, atol=1e-6)
    used = batch.present[:, batch.edge :]
    torch.testing.assert_close(steps[used], same_steps[used], rtol=1e-6, atol=1e-6)


def test_company_in_the_batch_changes_nothing(fitted: AutoCasForecaster, some_cases: list[Case]) -> None:
    """Log steps make rows of many lengths, so that padding stands before and after."""
    rolling = new_forecaster(f"autocas:llm={fitted.config.backbone}")
    assert isinstance(rolling, AutoCasForecaster)
    rolling.fit(some_cases[:40], some_cases[40:60], epochs=1)
    examples = [rolling.prepare(c.graph, c.as_of, c.horizon_seconds) for c in some_cases[:12]]
    whole = rolling.forecast(examples)
    for row, example in enumerate(examples):
        alone = rolling.forecast([example])
        np.testing.assert_allclose(alone.increment[0], whole.increment[row], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(
            alone.trajectory_increments[0], whole.trajectory_increments[row], rtol=1e-4, atol=1e-4
        )


def test_the_random_control_is_one_model_whatever_the_seed(directory: Path) -> None:
    torch.manual_seed(1)
    first = load_language_model(str(directory), "random")
    torch.manual_seed(2)
    assert load_language_model(str(directory), "random").fingerprint == first.fingerprint
    assert load_language_model(str(directory)).fingerprint != first.fingerprint


def gguf_of(model: Any, path: Path) -> Path:
    """A Llama written tensor by tensor into a GGUF file, unquantised."""
    gguf = pytest.importorskip("gguf")
    config = model.config
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    places = {
        "input_layernorm": "attn_norm",
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "post_attention_layernorm": "ffn_norm",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
    }
    for name, tensor in model.model.state_dict().items():
        if name.startswith("layers."):
            _, layer, rest = name.split(".", 2)
            name = f"blk.{layer}.{places[rest.removesuffix('.weight')]}.weight"
        else:
            name = {"embed_tokens.weight": "token_embd.weight", "norm.weight": "output_norm.weight"}[name]
        writer.add_tensor(name, tensor.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_gguf_file_is_a_language_model(some_cases: list[Case], tmp_path: Path) -> None:
    path = gguf_of(tiny("llama"), tmp_path / "tiny.gguf")
    assert load_language_model(str(path)).width == 32
    forecaster = new_forecaster(f"autocas:paper-llm={path}")
    assert isinstance(forecaster, AutoCasForecaster)
    forecaster.fit(some_cases[:30], some_cases[30:60], epochs=1)
    forecaster.save(tmp_path)
    examples = [forecaster.prepare(c.graph, c.as_of, c.horizon_seconds) for c in some_cases[:5]]
    again = AutoCasForecaster.load(tmp_path)
    np.testing.assert_array_equal(again.forecast(examples).increment, forecaster.forecast(examples).increment)


def test_a_gguf_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelStoreError, match="there is no such file"):
        load_language_model(str(tmp_path / "gone.gguf"))
