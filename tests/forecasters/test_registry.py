"""Forecasters and their variants, found by what a user writes."""

from __future__ import annotations

import pytest

from forecasters.errors import ModelStoreError
from forecasters.registry import forecaster_names, forecaster_specs, new_forecaster, parse_spec


def test_every_spec_makes_an_untrained_forecaster_of_its_name() -> None:
    specs = forecaster_specs()
    assert set(forecaster_names()) <= set(specs)
    assert all(new_forecaster(spec).name == parse_spec(spec)[0] for spec in specs)


def test_a_variant_is_named_after_a_colon() -> None:
    assert parse_spec("concat") == ("concat", None)
    assert parse_spec("concat:paper") == ("concat", "paper")
    assert "concat:paper" in forecaster_specs()


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("oracle", "the models are mean"),
        ("concat:poem", "its variants are paper"),
        ("mean:paper", "it has no variants"),
        ("concat:", "unknown variant ''"),
    ],
)
def test_an_unknown_spec_is_answered_with_what_there_is(spec: str, said: str) -> None:
    with pytest.raises(ModelStoreError, match=said):
        new_forecaster(spec)
