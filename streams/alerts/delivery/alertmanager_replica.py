"""One Alertmanager of a cluster: what it is still to be told, sent as one request after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Final

import msgspec

from streams.alerts.delivery.posting import Poster, Request, SendError, Trouble

BATCH_ALERTS: Final = 256
"""Of one request, as Prometheus: some 400 KB."""

API_PATH: Final = "/api/v2/alerts"


class Replica:
    """Sends the present state of alerts, never an older one after a newer one: there is one request at a time.

    What it is to be told is a set of alerts, not a queue of messages, so a slow Alertmanager costs no more memory than
    there are alerts.
    """

    def __init__(self, url: str, poster: Poster, headers: dict[str, str], state: Callable[[str], Any]) -> None:
        """``state`` gives an alert's present state by its id, None where it is known no more."""
        self.url = url.rstrip("/") + API_PATH
        self._poster = poster
        self._headers = headers
        self._state = state
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}
        self._reminders: dict[str, None] = {}
        self._wake = asyncio.Event()

    def submit(self, alert: str) -> asyncio.Future[None]:
        """Ends once this Alertmanager has taken the alert's state, or a newer one; with `SendError` if it did not."""
        taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        taken.add_done_callback(_read_exception)
        self._waiting.setdefault(alert, []).append(taken)
        self._wake.set()
        return taken

    def remind(self, alerts: Iterable[str]) -> None:
        """Send these again, whatever comes of it: the next time is soon."""
        self._reminders.update(dict.fromkeys(alerts))
        self._wake.set()

    async def run(self) -> None:
        """Send what waits, until it is cancelled."""
        while True:
            await self._wake.wait()
            await self._send(self._next_batch())

    def _next_batch(self) -> dict[str, list[asyncio.Future[None]]]:
        """What somebody waits for first: a new alert is not held up by many open ones."""
        alerts = list(islice(dict.fromkeys((*self._waiting, *self._reminders)), BATCH_ALERTS))
        batch = {alert: self._waiting.pop(alert, []) for alert in alerts}
        for alert in alerts:
            self._reminders.pop(alert, None)
        if not self._waiting and not self._reminders:
            self._wake.clear()
        return batch

    async def _send(self, batch: dict[str, list[asyncio.Future[None]]]) -> None:
        states = {alert: state for alert in batch if (state := self._state(alert)) is not None}
        error = await self._post(list(states.values())) if states else None
        if error is not None and error.final and len(states) > 1:
            # One bad alert is blamed on all of its request: tell them apart.
            for alert, waiting in batch.items():
                await self._send({alert: waiting})
            return
        for one in (one for waiting in batch.values() for one in waiting if not one.done()):
            if error is None:
                one.set_result(None)
            else:
                one.set_exception(error.copy())

    async def _post(self, states: list[Any]) -> SendError | None:
        try:
            await self._poster.post(Request(self.url, self.url, msgspec.json.encode(states), self._headers))
        except SendError as error:
            return error
        return None


async def first_to_take(attempts: Iterable[asyncio.Future[None]]) -> None:
    """Returns once one replica has taken it. Raises the last `SendError` when none did; final only where all were.

    Those that did not hear of it hear at the next re-send, or let the alert expire.
    """
    waiting = set(attempts)
    failures: list[SendError] = []
    while waiting:
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for one in done:
            error = one.exception()
            if error is None:
                return
            assert isinstance(error, SendError)
            failures.append(error)
    final = all(error.final for error in failures)
    last = failures[-1]
    raise SendError(
        last.trouble if final or not last.final else Trouble.UNAVAILABLE,
        "; ".join(dict.fromkeys(str(error) for error in failures)),
        final=final,
        retry_after_seconds=last.retry_after_seconds,
    )


def _read_exception(taken: asyncio.Future[None]) -> None:
    """Where nobody waits for it any more it would be reported as forgotten."""
    if not taken.cancelled():
        taken.exception()
