"""What was last computed of some cases is remembered: one evaluation fits several models to the same ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from forecasters.base import Case

T = TypeVar("T")


class OfLastCases(Generic[T]):
    """The last answer alone, since answers hold a data set's worth of memory."""

    __slots__ = ("_answer", "_held", "_key")

    def __init__(self) -> None:
        self._key: object = None
        self._held: list[Case] = []
        self._answer: T | None = None

    def of(self, cases: Sequence[Case], settings: object, compute: Callable[[], T]) -> T:
        """What ``compute`` answers, at once where ``cases`` and ``settings`` (comparable) are those of the last call.

        Every caller is handed the same object: who changes it copies it first.
        """
        key = (settings, tuple((id(case.graph), case.as_of, case.horizon_seconds, case.increment) for case in cases))
        if self._answer is None or self._key != key:
            # the cases are held, so that no other cascade can take the place of theirs in memory
            self._answer, self._held, self._key = compute(), list(cases), key
        return self._answer
