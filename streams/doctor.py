"""What this machine lacks to run Cascadecast, and how to mend it. Each check answers for itself and never raises."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import re
import resource
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from graph.errors import UserError

DISTRIBUTION: Final = "cascadecast"

NEEDED_PYTHON: Final = (3, 11)

NEEDED_DISK_BYTES: Final = 2 * 1024**3
"""A day of a busy stream in Kafka and in the workers' state, with room to spare."""

NEEDED_MEMORY_BYTES: Final = 2 * 1024**3
"""A worker with torch takes 0.7 GB, the broker 0.6 GB."""

NEEDED_OPEN_FILES: Final = 4096
"""Kafka holds three files a segment open, rocksdict up to 64 a partition; too few end in a crash under load."""

_IMPORT_NAMES: Final = {"faust-streaming": "faust", "torch-geometric": "torch_geometric"}
"""Distributions whose module is not their name with underscores."""


class Verdict(StrEnum):
    """What a check found."""

    OK = "ok"
    NOTE = "note"  # works, with something to know
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's table; ``mend`` says what to do unless all is well."""

    check: str
    verdict: Verdict
    found: str
    mend: str = ""


def examine(bootstrap_servers: str | None = None) -> list[Finding]:
    """Run every check; the broker is asked only if an address is given. Reads and writes nothing that stays."""
    checks: list[Callable[[], Finding]] = [check_python, check_java, check_maven, check_jars]
    checks += [check_disk, check_memory, check_open_files, check_torch, check_rocksdict, check_models]
    findings = [*check_dependencies(), *(_guarded(check) for check in checks)]
    if bootstrap_servers is not None:
        findings.append(check_broker(bootstrap_servers))
    return findings


def _guarded(check: Callable[[], Finding]) -> Finding:
    """A check that trips over what it examines has found something."""
    try:
        return check()
    except Exception as error:
        name = check.__name__.removeprefix("check_")
        return Finding(name, Verdict.MISSING, f"{type(error).__name__}: {error}", "reinstall: make install")


def check_python() -> Finding:
    """The interpreter's version."""
    found = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[:2] >= NEEDED_PYTHON:
        return Finding("python", Verdict.OK, found)
    return Finding("python", Verdict.MISSING, found, "install Python 3.11 or newer and make the environment anew")


def check_dependencies(distribution: str = DISTRIBUTION) -> list[Finding]:
    """Each required package: installed, within its bounds, importable."""
    try:
        requirements = importlib.metadata.requires(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return [Finding(distribution, Verdict.MISSING, "not installed", "pip install .")]
    return [check_requirement(line) for line in requirements if "extra ==" not in line]


def check_requirement(requirement: str) -> Finding:
    """One requirement such as ``numpy<3,>=1.26``."""
    name, bounds = re.fullmatch(r"([A-Za-z0-9._-]+)\s*([^;]*).*", requirement, re.DOTALL).groups()  # type: ignore[union-attr]
    mend = f"pip install '{name}{bounds.strip()}'"
    try:
        found = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, Verdict.MISSING, "not installed", mend)
    if not within(found, bounds):
        return Finding(name, Verdict.MISSING, f"{found}, needs {bounds.strip()}", mend)
    try:
        importlib.import_module(_IMPORT_NAMES.get(name, name.replace("-", "_")))
    except Exception as error:  # a broken shared library raises OSError, others what they like
        return Finding(name, Verdict.MISSING, f"{found} cannot be imported: {error}", f"{mend} --force-reinstall")
    return Finding(name, Verdict.OK, found)


def within(version: str, bounds: str) -> bool:
    """Whether the release ``version`` meets bounds of the forms ``>=a``, ``<b``, ``<=c``, ``==d``, ``!=e``, ``>f``.

    >>> within("2.13.0+cpu", "<2.14,>=2.6"), within("3.0", "<3,>=1.26")
    (True, False)
    """
    have = _release(version)
    for sign, text in re.findall(r"(>=|<=|==|!=|<|>)\s*([0-9][\w.]*)", bounds):
        want = _release(text)
        length = max(len(have), len(want))
        left, right = (part + (0,) * (length - len(part)) for part in (have, want))
        holds = {
            ">=": left >= right,
            "<=": left <= right,
            "==": left == right,
            "!=": left != right,
            "<": left < right,
            ">": left > right,
        }
        if not holds[sign]:
            return False
    return True


def _release(version: str) -> tuple[int, ...]:
    leading = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in leading.group().split(".")) if leading else ()


def check_java() -> Finding:
    """A Java that can run the embedded broker."""
    from streams.broker.java import find_java

    try:
        java = find_java()
    except UserError as error:
        return Finding("java", Verdict.MISSING, _before_ways_out(error), "apt install openjdk-17-jre-headless")
    return Finding("java", Verdict.OK, f"{java.version} ({java.path})")


def check_maven() -> Finding:
    """Maven, which fetches Kafka; not needed once the jars are there."""
    from streams.broker.jars import cache_directory

    maven = shutil.which("mvn")
    if maven is not None:
        return Finding("maven", Verdict.OK, maven)
    if cache_directory().is_dir():
        return Finding("maven", Verdict.NOTE, "not found, not needed: Kafka's jars are cached")
    return Finding("maven", Verdict.MISSING, "not found", "apt install maven")


def check_jars() -> Finding:
    """Whether Kafka was fetched already."""
    from streams.broker.jars import cache_directory, kafka_version

    directory = cache_directory()
    if directory.is_dir():
        return Finding("kafka jars", Verdict.OK, f"{kafka_version()} in {directory}")
    return Finding("kafka jars", Verdict.NOTE, f"{kafka_version()} not fetched yet: the first start does it")


def check_disk(directory: Path | None = None) -> Finding:
    """Free space where the broker keeps its data."""
    from streams.broker.detached import default_directory

    place = directory or default_directory()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    found = f"{free / 1024**3:.1f} GiB free in {place}"
    if free >= NEEDED_DISK_BYTES:
        return Finding("disk", Verdict.OK, found)
    return Finding("disk", Verdict.MISSING, found, "free some space, or choose another --data-dir")


def check_memory() -> Finding:
    """Memory of the machine or of the container that holds us, whichever is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.exists() and (text := limit.read_text().strip()).isdecimal():
        total = min(total, int(text))
    found = f"{total / 1024**3:.1f} GiB"
    if total >= NEEDED_MEMORY_BYTES:
        return Finding("memory", Verdict.OK, found)
    return Finding("memory", Verdict.MISSING, found, "2 GiB are needed for a broker and a worker; lower --memory")


def check_open_files() -> Finding:
    """The limit on open files, soft and hard."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = "unlimited" if soft == resource.RLIM_INFINITY else str(soft)
    if soft == resource.RLIM_INFINITY or soft >= NEEDED_OPEN_FILES:
        return Finding("open files", Verdict.OK, found)
    enough = hard == resource.RLIM_INFINITY or hard >= NEEDED_OPEN_FILES
    mend = f"ulimit -n {NEEDED_OPEN_FILES}" if enough else "raise nofile in /etc/security/limits.conf"
    return Finding("open files", Verdict.NOTE, f"{found}, {NEEDED_OPEN_FILES} are advised", mend)


def check_torch() -> Finding:
    """What inference will run on."""
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU (enough; CUDA is used when present)"
    return Finding("torch device", Verdict.OK, f"{device}, {torch.get_num_threads()} threads")


def check_rocksdict() -> Finding:
    """Whether the workers' local store can be opened, written and read here."""
    from rocksdict import Rdict

    with tempfile.TemporaryDirectory(prefix="cascadecast-doctor-") as scratch:
        store = Rdict(scratch)
        store[b"key"] = b"value"
        held = store[b"key"]
        store.close()
    if held == b"value":
        return Finding("rocksdict store", Verdict.OK, "opens, writes, reads")
    return Finding("rocksdict store", Verdict.MISSING, "does not return what was written", "reinstall rocksdict")


def check_models() -> Finding:
    """Whether the weights shipped in the package load."""
    from forecasters.model_store import SHIPPED_WEIGHTS, ModelStore

    store = ModelStore(SHIPPED_WEIGHTS, shipped=True)
    loaded = []
    for name in store.names():
        for version in store.versions(name):
            store.get(name, version).load()
            loaded.append(f"{name} {version}")
    if loaded:
        return Finding("shipped weights", Verdict.OK, ", ".join(loaded))
    mend = "reinstall the package, or train: cascadecast train concat"
    return Finding("shipped weights", Verdict.MISSING, f"none in {SHIPPED_WEIGHTS}", mend)


def check_broker(bootstrap_servers: str) -> Finding:
    """Whether a Kafka answers."""
    from streams.kafka.clients import connect

    try:
        _, metadata = connect(bootstrap_servers)
    except UserError as error:
        return Finding("broker", Verdict.MISSING, str(error), "cascadecast broker start")
    found = f"{len(metadata.brokers)} at {bootstrap_servers}, {len(metadata.topics)} topics"
    return Finding("broker", Verdict.OK, found)


def _before_ways_out(error: UserError) -> str:
    """The lack itself: the table has a column for what to do."""
    return str(error).removeprefix("the embedded Kafka cannot run here: ").split(";")[0]
