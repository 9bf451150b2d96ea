"""The forms of AutoCas by name, those on a language model included, which may be any."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final

from forecasters.autocas.config import AutoCasConfig
from forecasters.base import Forecaster

LISTED: Final[Mapping[str, AutoCasConfig]] = {
    "paper": AutoCasConfig.paper(),
    "paper-summary": AutoCasConfig.paper_summary(),
    "paper-taught": AutoCasConfig.paper_taught(),
    "paper-no-prompts": AutoCasConfig.paper(prompts=0),
    "paper-no-next-step": AutoCasConfig.paper(step_weight=0.0),
    "paper-no-direct": AutoCasConfig.paper(total="roll-out"),
    "paper-random-frozen": AutoCasConfig.paper(frozen=True),
}
"""What runs anywhere: the papers' protocol, the same with a summary of the first events and with a taught one, its
ablations, and the control whose small model never learns."""

LANGUAGE_MODEL: Final = "llm="
PAPER_LANGUAGE_MODEL: Final = "paper-llm="
PAPER_RANDOM_LANGUAGE_MODEL: Final = "paper-random-llm="


def named(variant: str) -> AutoCasConfig | None:
    """The configuration of a variant; None for an unknown one.

    ``llm=NAME``, ``paper-llm=NAME`` and ``paper-random-llm=NAME`` put the language model NAME behind the rolling form
    and the papers' protocol; ``random`` draws its weights anew.
    """
    if variant in LISTED:
        return LISTED[variant]
    for prefix in (PAPER_RANDOM_LANGUAGE_MODEL, PAPER_LANGUAGE_MODEL, LANGUAGE_MODEL):
        name = variant.removeprefix(prefix)
        if name == variant or not name:
            continue
        if prefix == LANGUAGE_MODEL:
            return AutoCasConfig.rolling(backbone=name, batch_size=16, epochs=3)
        random = prefix == PAPER_RANDOM_LANGUAGE_MODEL
        return AutoCasConfig.language_model(name, initial="random" if random else "pretrained")
    return None


class Variants(Mapping[str, Callable[[], Forecaster]]):
    """Lists what runs anywhere; looks up language models too, of which there is no end."""

    def __init__(self, make: Callable[[AutoCasConfig], Forecaster]) -> None:
        self._make = make

    def __getitem__(self, variant: str) -> Callable[[], Forecaster]:
        config = named(variant)
        if config is None:
            raise KeyError(variant)
        return partial(self._make, config)

    def __iter__(self) -> Iterator[str]:
        return iter(LISTED)

    def __len__(self) -> int:
        return len(LISTED)
