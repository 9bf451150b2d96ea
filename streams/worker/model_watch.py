"""A running worker follows the model store: promotions are put to use between two batches, without a restart.

Looking and loading happen in a thread of their own, and the swap is one assignment. No event waits for it, and a batch
that has begun ends with the models it began with.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog

from streams.engine.inference import ForecastService
from streams.engine.lineup import Lineup, Seat
from streams.engine.lineup_loading import LineupLoader, SeatPlan
from streams.metrics import WorkerMetrics

log = structlog.get_logger("cascadecast.models")

RETRY_SECONDS: Final = 60.0
"""Versions never change, but a shared directory may show one before all of it has arrived."""


class ModelWatch:
    """Puts the lineup that the store says in the place of the service's."""

    def __init__(
        self,
        loader: LineupLoader,
        service: ForecastService,
        metrics: WorkerMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loader = loader
        self._service = service
        self._metrics = metrics
        self._clock = clock
        self._refused: dict[SeatPlan, float] = {}  # when to try it again
        self._unreadable = ""

    async def run(self, poll_seconds: float) -> None:
        """Look every ``poll_seconds`` of wall time until cancelled."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, thread_name_prefix="model-loading") as executor:
            while True:
                await asyncio.sleep(poll_seconds)
                await loop.run_in_executor(executor, self.look)

    def look(self) -> bool:
        """Look once; whether another lineup speaks now. Never raises: a broken store leaves all as it is."""
        now = self._clock()
        self._refused = {plan: again for plan, again in self._refused.items() if again > now}
        try:
            lineup, refused = self._loader.refresh(self._refused)
        except Exception as error:  # a damaged file, a share that is away: neither may end the worker
            if str(error) != self._unreadable:
                log.warning("the model store cannot be read; the models stay as they are", reason=str(error))
            self._unreadable = str(error)
            return False
        self._unreadable = ""
        for one in refused:
            self._refused[one.plan] = now + RETRY_SECONDS
            self._metrics.model_load_failures.labels(one.plan.name, one.plan.role.value).inc()
            log.error("a model was refused; the one in use stays", role=one.plan.role.value, reason=one.reason)
        if lineup is None:
            return False
        before, self._service.lineup = self._service.lineup, lineup
        self._metrics.show_lineup(lineup)
        self._tell(before, lineup)
        return True

    def _tell(self, before: Lineup, after: Lineup) -> None:
        known = set(before.seats)
        for seat in after.seats:
            if seat not in known:
                self._metrics.model_swaps.labels(seat.tenures[-1].model.name, seat.role.value).inc()
                log.info("model swapped", role=seat.role.value, model=seat.spec, versions=_versions(seat))
        remaining = {(seat.role, seat.spec) for seat in after.seats}
        for seat in before.seats:
            if (seat.role, seat.spec) not in remaining:
                log.info("model taken away", role=seat.role.value, model=seat.spec)


def _versions(seat: Seat) -> list[str]:
    """Each version, with the event time from which on it speaks."""
    return [
        tenure.model.version if tenure.since == float("-inf") else f"{tenure.model.version} from {tenure.since:g}"
        for tenure in seat.tenures
    ]
