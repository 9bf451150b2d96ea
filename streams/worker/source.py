"""Where a worker's events come from, as far as it has to be known beside the records themselves."""

from __future__ import annotations

from typing import Protocol


class Source(Protocol):
    """The events topic: where its partitions begin and end, and reading from another place on."""

    async def earliest(self, partition: int) -> int:
        """The first offset there is."""

    async def rewind(self, partition: int, offset: int) -> None:
        """Deliver again from ``offset`` on."""

    async def first_from(self, partition: int, offset: int) -> int | None:
        """The first offset, from ``offset`` on, of which there is a record; None where that cannot be told."""

    async def end(self, partition: int) -> int | None:
        """One past the last offset there is; None where that cannot be told."""

    def last_known_end(self, partition: int) -> int | None:
        """The same as of the last fetch, without asking."""
