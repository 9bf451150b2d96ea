"""How far a fit has come before its first epoch, or without epochs, told to whoever listens.

Teachers, context networks and trees are fitted deep within other fits, and some are remembered from the last one: a
callback handed down to them would be a parameter of everything on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Step:
    """``done`` steps ``of`` so many of what is being worked at."""

    what: str
    done: int
    of: int


Listener = Callable[[Step], None]
_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def heard_by(listener: Listener | None) -> Iterator[None]:
    """While the block runs, ``listener`` is told of steps; with None whoever listened before it still is."""
    if listener is None:
        yield
        return
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def tell(what: str, done: int, of: int) -> None:
    """Tell the listener, if there is one."""
    listener = _LISTENER.get()
    if listener is not None:
        listener(Step(what, done, of))


def told(what: str, items: Sequence[T], *, every: int = 1) -> Iterator[T]:
    """The items; the listener is told before each, or each ``every``-th, how many are done."""
    for done, item in enumerate(items):
        if done % every == 0:
            tell(what, done, len(items))
        yield item
