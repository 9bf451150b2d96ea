"""A `cascadecast worker` whose log is cleaned from some kilobytes on: a run of a minute never fills megabytes."""

from __future__ import annotations

import sys
from typing import Final

from streams.cli import main
from streams.state import log as segment_log

CLEANING_BYTES: Final = 96 * 1024

if __name__ == "__main__":
    segment_log.MINIMUM_CLEANING_BYTES = CLEANING_BYTES  # type: ignore[misc]
    sys.argv[0] = "cascadecast"
    main()
