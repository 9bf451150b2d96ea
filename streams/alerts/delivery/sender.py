"""What every kind of target can do: the one interface between the couriers and HTTP."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from streams.alerts.delivery.notices import Notice
from streams.alerts.delivery.posting import Poster, Request


class Sender(ABC):
    """Tells one target. Used as an asynchronous context, which holds its connections."""

    def __init__(self, poster: Poster) -> None:
        self._poster = poster

    async def __aenter__(self) -> Self:
        await self._poster.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._poster.__aexit__(kind, error, trace)

    @abstractmethod
    def requests(self, notice: Notice, now: float) -> list[Request]:
        """What would be posted at ``now``, seconds of wall time; one for each address."""

    @abstractmethod
    async def send(self, notice: Notice) -> None:
        """Returns once the target has taken it. Raises `SendError`."""

    @property
    def hears_all(self) -> bool:
        """Whether a target that was never told anything must know what Kafka holds, though it is not delivered."""
        return False

    def heard(self, notice: Notice, *, again: bool) -> None:  # noqa: B027 - most targets remember nothing
        """A record was read that is meant for this target; ``again``: it was delivered before."""

    def caught_up(self) -> None:  # noqa: B027
        """All that Kafka held when the partitions were assigned has been read."""

    def forget(self, partition: int) -> None:  # noqa: B027
        """Another process has the partition now."""

    def keep_from(self, partition: int) -> int | None:
        """The first offset of the partition whose record must be heard again after a restart; None: none."""
        del partition
        return None

    async def run(self) -> None:  # noqa: B027
        """What the target does by itself, until it is cancelled."""
