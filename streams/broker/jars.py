"""Kafka's jars: fetched once by Maven into a cache of the user's, shared by every broker this user starts."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from streams.broker.errors import BrokerUnavailableError

POM: Final = Path(__file__).with_name("pom.xml")

_FETCH_SECONDS: Final = 900
"""43 MB over a slow line."""


def kafka_version(pom: Path = POM) -> str:
    """The version of Apache Kafka that the pom asks for."""
    stated = re.search(r"<kafka\.version>([^<]+)</kafka\.version>", pom.read_text(encoding="utf-8"))
    if stated is None:
        raise ValueError(f"{pom} names no kafka.version")
    return stated.group(1).strip()


def cache_directory(pom: Path = POM) -> Path:
    """Where this pom's jars belong. A changed pom gets its own directory: a running broker keeps its jars."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    fingerprint = hashlib.sha256(pom.read_bytes()).hexdigest()[:8]
    return home / "cascadecast" / "kafka" / f"{kafka_version(pom)}-{fingerprint}"


def ensure_jars(announce: Callable[[str], None] = lambda message: None, pom: Path = POM) -> Path:
    """The directory of Kafka's jars, fetched if this user has none yet.

    Any number of processes may call this at once: one fetches, the others wait for it. The directory appears
    whole or not at all. Raises `BrokerUnavailableError` when Maven is missing or fails.
    """
    target = cache_directory(pom)
    if target.is_dir():
        return target
    maven = shutil.which("mvn")
    if maven is None:
        raise BrokerUnavailableError(
            f"Kafka's jars are not in {target} and Maven (mvn), which fetches them, was not found; "
            "install it (Debian, Ubuntu: apt install maven)"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _only_one(target.with_name(f"{target.name}.lock")):
            if not target.is_dir():
                announce(f"fetching Apache Kafka {kafka_version(pom)} (43 MB, once) into {target}")
                _fetch(maven, pom, target)
    except OSError as error:
        raise BrokerUnavailableError(f"cannot write Kafka's jars to {target}: {error}") from error
    return target


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    """Hold the lock file; the kernel lets go of it even if this process is killed."""
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _fetch(maven: str, pom: Path, target: Path) -> None:
    """Have Maven copy the jars beside ``target``, then rename: a half-fetched cache is never seen."""
    with tempfile.TemporaryDirectory(prefix=f"{target.name}.", dir=target.parent) as scratch:
        jars = Path(scratch) / "jars"
        shutil.copy(pom, Path(scratch) / "pom.xml")
        command = [
            maven,
            "--batch-mode",
            "--quiet",
            "--strict-checksums",
            "-f",
            str(Path(scratch) / "pom.xml"),
        ]
        command += ["dependency:copy-dependencies", f"-DoutputDirectory={jars}"]
        try:
            run = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=_FETCH_SECONDS,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise BrokerUnavailableError(f"Maven did not fetch Kafka's jars within {_FETCH_SECONDS} s") from error
        if run.returncode != 0 or not any(jars.glob("kafka_*.jar")):
            said = [line for line in (run.stdout + run.stderr).splitlines() if "ERROR" in line] or ["no message"]
            raise BrokerUnavailableError(f"Maven could not fetch Kafka's jars: {said[0].strip()[:400]}")
        jars.rename(target)
