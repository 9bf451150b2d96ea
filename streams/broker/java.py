"""Find a Java that can run Kafka 4: version 17 or newer, ``JAVA_HOME`` first, then the path."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streams.broker.errors import BrokerUnavailableError

OLDEST_JAVA: Final = 17
"""Kafka 4 servers are compiled for Java 17."""

_INSTALL: Final = "install one (Debian, Ubuntu: apt install openjdk-17-jre-headless) or point JAVA_HOME at it"


@dataclass(frozen=True, slots=True)
class Java:
    """A Java executable and the major version it reports."""

    path: Path
    version: int


def find_java() -> Java:
    """The Java to run Kafka with. Raises `BrokerUnavailableError` when there is none or it is too old."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin")) if home else None
    found = found or shutil.which("java")
    if found is None:
        raise BrokerUnavailableError(f"no Java found; {_INSTALL}")
    version = _version_of(Path(found))
    if version < OLDEST_JAVA:
        raise BrokerUnavailableError(f"{found} is Java {version}, Kafka needs {OLDEST_JAVA} or newer; {_INSTALL}")
    return Java(Path(found), version)


def _version_of(java: Path) -> int:
    """The major version: 8 for "1.8.0_392", 17 for "17.0.15", 25 for "25-ea"."""
    try:
        answer = subprocess.run([str(java), "-version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise BrokerUnavailableError(f"{java} -version failed ({error}); {_INSTALL}") from error
    stated = re.search(r'version "(?:1\.)?(\d+)', answer.stderr + answer.stdout)
    if stated is None:
        raise BrokerUnavailableError(f"{java} -version does not name a version; {_INSTALL}")
    return int(stated.group(1))
