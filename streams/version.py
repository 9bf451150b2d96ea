"""Which version of Cascadecast this is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Final

NOT_INSTALLED: Final = "not installed"


def installed_version() -> str:
    """As installed; a source tree that runs without it has none, and its work must not be lost for want of one."""
    try:
        return version("cascadecast")
    except PackageNotFoundError:
        return NOT_INSTALLED
