"""What can go wrong with models on disk, said to the user."""

from __future__ import annotations

from graph.errors import UserError


class ModelStoreError(UserError):
    """A stored model is missing, damaged or misnamed; the message names the file or the name, and the
    mend."""


class NotCalibratedError(UserError):
    """A model's intervals do not come from cases, so none can calibrate them."""


class UnanswerableError(ModelStoreError):
    """A ranker was not trained for what it is to tell: for another horizon, or without the top ``share``."""

    def __init__(self, message: str, share: float | None = None) -> None:
        super().__init__(message)
        self.share = share
