"""Who may read the HTTP pages of a process."""

from __future__ import annotations

import hmac
from typing import Final

DENIED: Final = "401: this page needs the bearer token\n"
DENIED_HEADERS: Final = {"WWW-Authenticate": "Bearer"}
"""What is answered to whoever may not, with status 401."""


def may_read(authorization: str | None, token: str | None) -> bool:
    """Whether a request with this Authorization header may read everything."""
    if token is None:
        return True
    scheme, _, given = (authorization or "").partition(" ")
    # In constant time: how long it takes must not tell how much of a guess was right.
    return hmac.compare_digest(given.strip().encode(), token.encode()) and scheme.lower() == "bearer"
