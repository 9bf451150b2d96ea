"""What several models compute of one view is computed once.

A worker asks every model about the same views, and a blend asks its experts. What they share is remembered for as long
as the view lives, which is one batch; nothing has to be passed from one model to another.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

import numpy as np

from graph import CascadeView

P = ParamSpec("P")
R = TypeVar("R")


def once_per_view(function: Callable[Concatenate[CascadeView, P], R]) -> Callable[Concatenate[CascadeView, P], R]:
    """Let ``function(view, *more)`` run once for each view and each ``more`` (hashable, by position).

    Arrays in the answer, itself or the members of a tuple or dict, become read-only: several models hold them.
    """
    remembered: weakref.WeakKeyDictionary[CascadeView, dict[object, R]] = weakref.WeakKeyDictionary()

    @functools.wraps(function)
    def once(view: CascadeView, /, *args: P.args, **kwargs: P.kwargs) -> R:
        answers = remembered.get(view)
        if answers is None:
            answers = remembered[view] = {}
        key = (args, tuple(sorted(kwargs.items()))) if kwargs else args
        if key not in answers:
            answer = function(view, *args, **kwargs)
            _lock(answer)
            answers[key] = answer
        return answers[key]

    return once


def _lock(answer: object) -> None:
    if isinstance(answer, np.ndarray):
        answer.setflags(write=False)
    elif isinstance(answer, tuple):
        for part in answer:
            _lock(part)
    elif isinstance(answer, dict):
        for part in answer.values():
            _lock(part)
