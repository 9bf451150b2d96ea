"""From the settings and the model store to the models that speak: what shall be loaded, and loading it.

Nothing here waits for Kafka or touches a running batch; a worker does it in a thread beside its work.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from forecasters.base import Forecaster
from forecasters.model_lookup import find_alias, find_tenures, load_forecaster
from forecasters.model_store import StoredModel
from forecasters.trial import try_out
from graph.errors import UserError
from streams.engine.lineup import Lineup, Role, Seat, Tenure
from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class SeatPlan:
    """Which versions shall hold a seat, from which event times on; none for a forecaster without stored versions."""

    role: Role
    spec: str
    tenures: tuple[tuple[float, StoredModel], ...]

    @property
    def name(self) -> str:
        """The model's name."""
        return self.spec.partition("@")[0]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A seat whose versions could not be loaded or failed their trial."""

    plan: SeatPlan
    reason: str


def plan_seats(settings: Settings, *, challengers: bool) -> tuple[SeatPlan, ...]:
    """The seats as settings and aliases say now, champions first; raises `ModelStoreError`."""
    directory = settings.models_dir
    plans = [SeatPlan(Role.CHAMPION, spec, _from_the_start(find_tenures(spec, directory))) for spec in settings.models]
    if challengers:
        for spec in _challenger_specs(settings):
            name, _, wanted = spec.partition("@")
            if wanted == "challenger" and find_alias(name, wanted, directory) is None:
                continue  # none has been named yet
            plans.append(SeatPlan(Role.CHALLENGER, spec, _bare(find_tenures(spec, directory))))
    return tuple(plans)


def _challenger_specs(settings: Settings) -> list[str]:
    if settings.challengers == ("none",):
        return []
    everyone = settings.challengers == ("all",)
    specs = [spec.partition("@")[0] for spec in settings.models] if everyone else settings.challengers
    return list(dict.fromkeys(spec if "@" in spec else f"{spec}@challenger" for spec in specs))


def _bare(tenures: Iterable[tuple[float, StoredModel]]) -> tuple[tuple[float, StoredModel], ...]:
    """Without the aliases, whose change alone changes nothing that is loaded."""
    return tuple((since, replace(model, aliases=())) for since, model in tenures)


def _from_the_start(tenures: Iterable[tuple[float, StoredModel]]) -> tuple[tuple[float, StoredModel], ...]:
    """A champion is never missing: the first one speaks for all earlier times too."""
    bare = _bare(tenures)
    return ((-math.inf, bare[0][1]), *bare[1:]) if bare else ()


class LineupLoader:
    """Loads what is planned, keeps what is loaded already, and refuses what does not work."""

    def __init__(self, settings: Settings, *, challengers: bool = False) -> None:
        self._settings = settings
        self._challengers = challengers
        self._seats: dict[SeatPlan, Seat] = {}
        self._models: dict[Path, Forecaster] = {}

    def load(self) -> Lineup:
        """What a process starts with; raises `UserError` for a champion that does not work."""
        found, refused = self.refresh()
        broken = [one for one in refused if one.plan.role is Role.CHAMPION]
        if broken:
            plan, reason = broken[0].plan, broken[0].reason
            own = any(not stored.shipped for _, stored in plan.tenures)
            back = f"; 'cascadecast models rollback {plan.name}' goes back to the one before" if own else ""
            raise UserError(reason + back)
        return found or Lineup(())

    def refresh(self, spared: Iterable[SeatPlan] = ()) -> tuple[Lineup | None, list[Refusal]]:
        """The lineup as the store says now, or None when nothing changed; and what was refused.

        A seat whose new versions are refused stays as it is, and so do the ``spared``, which were refused a moment ago.
        Raises `ModelStoreError` when the store cannot be read; everything then stays as it is.
        """
        plans = plan_seats(self._settings, challengers=self._challengers)
        if plans == tuple(self._seats):
            return None, []
        before = {(plan.role, plan.spec): plan for plan in self._seats}
        seats: dict[SeatPlan, Seat] = {}
        refused: list[Refusal] = []
        for plan in plans:
            if plan in self._seats:
                seats[plan] = self._seats[plan]
                continue
            if plan not in spared:
                try:
                    seats[plan] = self._seat(plan)
                    continue
                except Exception as error:  # whatever a broken model raises, the models in use must not suffer
                    refused.append(Refusal(plan, f"{plan.spec}: {error or type(error).__name__}"))
            stays = before.get((plan.role, plan.spec))
            if stays is not None:
                seats[stays] = self._seats[stays]
        changed = seats != self._seats
        self._seats = seats
        in_use = {stored.directory for plan in seats for _, stored in plan.tenures}
        self._models = {directory: model for directory, model in self._models.items() if directory in in_use}
        return Lineup(tuple(seats.values())) if changed else None, refused

    def _seat(self, plan: SeatPlan) -> Seat:
        if not plan.tenures:
            model = load_forecaster(plan.spec, self._settings.models_dir)
            self._try(model)
            return Seat(plan.role, plan.spec, (Tenure(-math.inf, model),))
        return Seat(plan.role, plan.spec, tuple(Tenure(since, self._model(stored)) for since, stored in plan.tenures))

    def _model(self, stored: StoredModel) -> Forecaster:
        known = self._models.get(stored.directory)
        if known is None:
            known = stored.load()
            self._try(known)
            self._models[stored.directory] = known
        return known

    def _try(self, model: Forecaster) -> None:
        # Half a gigabyte that only the neural models need: it is here if one of them has imported it.
        torch = sys.modules.get("torch")
        if torch is not None:
            # A batch is small: more threads than one cost more in waiting for each other than they compute.
            torch.set_num_threads(self._settings.inference_threads)
        try_out(model, self._settings.horizon_seconds)
