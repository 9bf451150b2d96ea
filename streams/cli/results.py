"""The machine-readable result of a command: exactly one JSON object on standard output."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from streams.version import installed_version


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def commit() -> str | None:
    """The git commit of the source tree that runs, when it is one."""
    source = Path(__file__).resolve().parents[2]
    try:
        found = subprocess.run(
            ["git", "-C", str(source), "rev-parse", "--short=12", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
            timeout=5,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()


def print_result(command: str, seconds: float, results: Sequence[dict[str, Any]]) -> None:
    """Print the result object of ``--json``."""
    document = {
        "command": command,
        "version": installed_version(),
        "commit": commit(),
        "machine": machine(),
        "seconds": round(seconds, 3),
        "results": list(results),
    }
    sys.stdout.write(msgspec.json.encode(document).decode() + "\n")
