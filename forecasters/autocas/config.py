"""What an AutoCas model is made of: every size and switch, with the reason for each value that is not obvious.

The paper's sizes, token and prompt lengths could not be read; all values here were chosen for this package.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, Literal, Self

SCRATCH: Final = "scratch"
"""The backbone of this package; any other name is a language model's id, directory or GGUF file."""


@dataclass(frozen=True, slots=True)
class AutoCasConfig:
    """Architecture and training of one AutoCas model; by default one network of the papers' protocol on `scratch`."""

    backbone: str = SCRATCH
    """`scratch`, a Hugging Face id or directory, a GGUF file, or ``gemma3-270m`` for the package of that name."""
    initial: Literal["pretrained", "random"] = "pretrained"
    """Weights of a language model: its own, or drawn at random (the control). `scratch` always starts at random."""
    frozen: bool = False
    """Whether `scratch` keeps its random weights; a language model is always frozen."""

    steps: Literal["log", "equal"] = "equal"
    """`log`: steps of absolute age, for any age and horizon. `equal`: equal parts of one protocol's two windows."""
    observed_steps: int = 12
    """Equal steps of the observation; unused with `log`."""
    future_steps: int = 12
    """Equal steps from the observation to the horizon; unused with `log`."""
    event_cap: int | None = 100
    """Earliest events that are read, the papers' 100; None reads all."""
    audience: bool = False
    """Whether followers and the hour of the day are read; the papers have neither."""
    context: bool = False
    """Whether `forecasters.context` forecasts first and the sequence corrects it: the rolling form."""
    summary: bool = False
    """Whether that context is a summary of the earliest 100 events and nothing else."""
    taught: bool = False
    """Whether that summary learns from `forecasters.taught_summary`'s labels."""

    prompts: int = 4
    width: int = 64
    layers: int = 2
    heads: int = 4
    dropout: float = 0.1

    total: Literal["direct", "roll-out"] = "direct"
    """The forecast: a head of its own at the observation edge, or the sum of the rolled-out steps (ablation)."""
    step_weight: float = 0.5
    """Weight of the next-step loss beside the MSLE of the total; 0 trains the direct head alone."""

    learning_rate: float = 1e-3
    epochs: int = 20
    patience: int = 6
    batch_size: int = 64
    weight_decay: float = 1e-2
    averaging: float = 0.0
    """See `forecasters.training_loop.Optimisation`."""
    nearby_ages: int = 0
    """At how many further ages each training cascade is cut, see `forecasters.nearby_ages`."""
    age_span: float = 2.0
    """How many times older or younger than the observation these ages are at most."""
    most_cuts: int = 50_000
    """Cuts of all training cascades together, at most."""
    members: int = 1
    """Networks of different random beginnings, trained together, whose forecasts are averaged."""
    training_cases: int | None = None
    """Cases to train on, drawn with the seed; None takes all. A language model on a CPU needs a bound."""
    validation_cases: int | None = None
    """Likewise for the choice of the epoch and for the intervals."""

    @classmethod
    def paper(cls, **changes: Any) -> Self:
        """The papers' protocol with `scratch`: the earliest 100 events, one observation age and horizon."""
        form: dict[str, Any] = {
            "steps": "log",
            "nearby_ages": 10,
            "age_span": 5.0,  # ages close together have nearly the same growth, which is soon learned by heart
            "members": 3,
            "epochs": 4,  # each has some ten times the cases
            "batch_size": 128,
            "learning_rate": 2e-3,
            "averaging": 0.99,
        }
        return cls(**(form | changes))

    @classmethod
    def paper_summary(cls) -> Self:
        """What the papers' protocol lets be seen, read twice: as numbers, and as steps that correct these."""
        return cls.paper(context=True, summary=True, members=1, epochs=2, learning_rate=3e-4)

    @classmethod
    def paper_taught(cls) -> Self:
        """The same, its numbers learned from better labels."""
        return replace(cls.paper_summary(), taught=True)

    @classmethod
    def rolling(cls, **changes: Any) -> Self:
        """The shipped form: any age and horizon, everything observed."""
        form: dict[str, Any] = {
            "steps": "log",
            "event_cap": None,
            "audience": True,
            "context": True,
            "learning_rate": 3e-4,  # 1e-3 learns by heart what the context left over of the training cascades
            "epochs": 6,
            "patience": 3,
            "batch_size": 128,
        }
        return cls(**(form | changes))

    @classmethod
    def language_model(cls, backbone: str, *, initial: Literal["pretrained", "random"] = "pretrained") -> Self:
        """The papers' protocol on a frozen language model, bounded so that a quarter of a billion weights can be run
        on a CPU in minutes."""
        return cls(
            backbone=backbone,
            initial=initial,
            observed_steps=6,
            future_steps=6,
            batch_size=8,
            epochs=3,
            patience=3,
            learning_rate=2e-3,  # few weights learn, and in few steps
            training_cases=240,
            validation_cases=64,
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Build from `to_json`'s output; raises `ValueError` naming a key that this version does not know."""
        unknown = sorted(set(values) - {f.name for f in fields(cls)})
        if unknown:
            raise ValueError(f"unknown AutoCas settings: {', '.join(unknown)}")
        return cls(**values)
