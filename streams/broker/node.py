"""Start one Kafka node in a data directory and wait until it serves; who watches over it is the caller's."""

from __future__ import annotations

import base64
import fcntl
import re
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from streams.broker.errors import BrokerError
from streams.broker.jars import ensure_jars, kafka_version
from streams.broker.java import find_java
from streams.broker.listener import OPEN, Listener
from streams.broker.ports import LOOPBACK, free_ports, is_free
from streams.broker.state import NodeState, load_state, process_start_ticks
from streams.kafka.clients import kafka_client_config

DEFAULT_HEAP: Final = "512m"
"""Kafka keeps records in the page cache; half a gigabyte of heap carried every load of a two-core machine."""

START_SECONDS: Final = 60.0
"""A start takes about 2 s on an idle core; a minute allows for a machine that is busy with other things."""

_STATIC_PROPERTIES: Final = Path(__file__).with_name("server.properties")
_LOG4J: Final = Path(__file__).with_name("log4j2.xml")
_PORT_ATTEMPTS: Final = 3

_JVM: Final = (
    "-Xms64m",
    "-XX:+UseSerialGC",  # the smallest and fastest to start on one or two cores
    "-XX:TieredStopAtLevel=1",  # C1 alone starts a third faster, and the broker's work is input and output
    "-XX:-UsePerfData",  # leaves no /tmp/hsperfdata file behind
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
)


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """Where and how a node runs. Port None: the one it had before if that is free, else any free one."""

    directory: Path
    port: int | None = None
    heap: str = DEFAULT_HEAP
    listener: Listener = OPEN

    def __post_init__(self) -> None:
        if re.fullmatch(r"[1-9]\d*[mMgG]", self.heap) is None:
            raise BrokerError(f"memory {self.heap!r} is not a size such as 512m or 1g")
        if self.port is not None and not 1 <= self.port <= 65_535:
            raise BrokerError(f"port {self.port} is not between 1 and 65535")

    @property
    def log_path(self) -> Path:
        """Kafka's whole log (rolls over at 10 MB, three old ones kept)."""
        return self.directory / "kafka.log"

    @property
    def console_path(self) -> Path:
        """What the process itself printed: errors, and what the JVM says before there is a log."""
        return self.directory / "kafka.out"

    @property
    def data_path(self) -> Path:
        """Kafka's log.dirs."""
        return self.directory / "logs"

    @property
    def properties_path(self) -> Path:
        """The node's configuration, written at each start."""
        return self.directory / "server.properties"


class Child(Protocol):
    """A started Kafka process."""

    @property
    def pid(self) -> int: ...

    def is_alive(self) -> bool: ...

    def end(self) -> None: ...


def launch(
    settings: NodeSettings,
    spawn: Callable[[list[str], Path], Child],
    announce: Callable[[str], None] = lambda message: None,
) -> NodeState:
    """Run Kafka in the directory; returns when it serves clients.

    ``spawn`` starts a command with its output going to a file. Raises `BrokerUnavailableError` without Java
    or Maven, `BrokerError` when the directory is in use, the port is taken or Kafka ends early (with its
    last lines).
    """
    java, jars = find_java(), ensure_jars(announce)
    with _directory_lock(settings.directory):
        previous = load_state(settings.directory)
        if previous is not None and previous.is_running():
            raise BrokerError(
                f"a broker (pid {previous.pid}) already runs on {settings.directory}: stop it or use another directory"
            )
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            port, controller_port = _choose_ports(settings.port, previous if attempt == 1 else None)
            tool = [str(java.path), *_JVM, f"-Xmx{settings.heap}", f"-Dcascadecast.log={settings.log_path}"]
            tool += [f"-Dlog4j2.configurationFile={_LOG4J.as_uri()}", "-cp", f"{jars}/*"]
            _configure(settings, port, controller_port, tool)
            child = spawn([*tool, "kafka.Kafka", str(settings.properties_path)], settings.console_path)
            try:
                _wait_until_serving(settings, port, child)
            except _PortTakenError as error:
                if settings.port == port and not is_free(port):
                    raise BrokerError(f"port {port} is in use: choose another port, or name none") from error
                if attempt == _PORT_ATTEMPTS:
                    raise
                continue
            except BaseException:
                child.end()
                raise
            break
        ticks = process_start_ticks(child.pid)
        if ticks is None:
            raise _ended_early(settings)
        state = NodeState(child.pid, ticks, port, controller_port, settings.heap, kafka_version())
        state.save(settings.directory)
        return state


class _PortTakenError(BrokerError):
    """Another process bound the port between our look and Kafka's start."""


@contextmanager
def _directory_lock(directory: Path) -> Iterator[None]:
    """One start at a time in a directory."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        held = (directory / "start.lock").open("w")
    except OSError as error:
        raise BrokerError(f"cannot use {directory} for the broker's data: {error.strerror}") from error
    with held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _choose_ports(wanted: int | None, previous: NodeState | None) -> tuple[int, int]:
    """The ports for clients and for the controller: as wanted, else as before, else any that are free."""
    if wanted is not None and not is_free(wanted):
        raise BrokerError(f"port {wanted} is in use: choose another port, or name none")
    fresh = iter(free_ports(3))
    port = wanted
    if port is None:
        port = previous.port if previous is not None and is_free(previous.port) else next(fresh)
    if previous is not None and previous.controller_port != port and is_free(previous.controller_port):
        return port, previous.controller_port
    return port, next(candidate for candidate in fresh if candidate != port)


def _configure(settings: NodeSettings, port: int, controller_port: int, tool: list[str]) -> None:
    """Write the properties, and format the data directory on its first start."""
    addresses = (
        f"listeners=BROKER://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}\n"
        f"advertised.listeners=BROKER://{LOOPBACK}:{port}\n"
        f"controller.quorum.voters=1@{LOOPBACK}:{controller_port}\n"
        f"log.dirs={_property(settings.data_path)}\n"
    )
    static = _STATIC_PROPERTIES.read_text(encoding="utf-8")
    demands = "\n".join(settings.listener.properties())
    settings.properties_path.touch(mode=0o600)  # passwords may stand in it
    settings.properties_path.write_text(f"{static}\n{addresses}{demands}\n", encoding="utf-8")
    if (settings.data_path / "meta.properties").exists():
        return
    format_storage = ["kafka.tools.StorageTool", "format", "--cluster-id", _new_cluster_id()]
    format_storage += ["--config", str(settings.properties_path), *settings.listener.credentials()]
    run = subprocess.run([*tool, *format_storage], capture_output=True, text=True, timeout=START_SECONDS, check=False)
    if run.returncode != 0:
        said = (run.stderr + run.stdout).strip().splitlines() or ["no message"]
        raise BrokerError(f"Kafka could not format {settings.data_path}: {said[-1]}")


def _property(path: Path) -> str:
    """A path as the value of a Java property: ASCII with escapes; a comma would separate two directories."""
    if "," in str(path):
        raise BrokerError(f"the broker's data cannot lie in {path}: Kafka takes no comma in a directory's name")
    units = str(path).encode("utf-16-be")
    codes = (int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2))
    return "".join(chr(code) if 32 <= code < 127 and code != 92 else f"\\u{code:04x}" for code in codes)


def _new_cluster_id() -> str:
    """22 characters as Kafka's own tool makes them, which never begin with a dash."""
    while (made := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return made


def _wait_until_serving(settings: NodeSettings, port: int, child: Child) -> None:
    """Until the node's metadata name itself, which they do once the controller has admitted it."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    deadline = time.monotonic() + START_SECONDS
    identity = (settings.data_path / "meta.properties").read_text(encoding="utf-8")
    admin: AdminClient | None = None
    while time.monotonic() < deadline:
        if not child.is_alive():
            raise _ended_early(settings)
        if admin is None and _accepts(port):
            admin = AdminClient(kafka_client_config(f"{LOOPBACK}:{port}", settings.listener.for_clients()))
        if admin is not None:
            try:
                metadata = admin.list_topics(timeout=1.0)
                if metadata.brokers and f"cluster.id={metadata.cluster_id}" in identity:  # not a stranger's Kafka
                    return
            except KafkaException:
                continue
        time.sleep(0.05)
    raise BrokerError(f"Kafka did not serve on port {port} within {START_SECONDS:.0f} s; its log: {settings.log_path}")


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=0.5):
            return True
    except OSError:
        return False


def _ended_early(settings: NodeSettings) -> BrokerError:
    """The error for a Kafka that is gone before it served, with the last lines it printed."""
    printed = settings.console_path.read_text(encoding="utf-8", errors="replace")
    if "Address already in use" in printed:
        return _PortTakenError("Kafka found its port taken again and again: stop what takes free ports")
    source = settings.console_path if printed.strip() else settings.log_path
    lines = source.read_text(encoding="utf-8", errors="replace").splitlines() if source.exists() else []
    told = [line for line in lines if line.strip() and not line.startswith("\tat ")][-8:] or ["(it printed nothing)"]
    return BrokerError("\n  ".join([f"Kafka ended before it served; the last lines of {source}:", *told]))
