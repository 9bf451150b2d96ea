"""Free loopback ports for a server that has yet to start."""

from __future__ import annotations

import random
import socket
from pathlib import Path
from typing import Final

from streams.broker.errors import BrokerError

LOOPBACK: Final = "127.0.0.1"

_LOWEST: Final = 10_000
_EPHEMERAL_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now; sockets in TIME_WAIT are no hindrance."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Distinct free ports below the ephemeral range.

    The kernel's own choice (port 0) lies in that range: the port could go to any outgoing connection before
    the broker binds it, and a client that retries while the broker is down can even connect to itself there
    and keep the port.
    """
    chosen: list[int] = []
    ports = range(_LOWEST, _first_ephemeral_port())
    for port in random.SystemRandom().sample(ports, min(1000, len(ports))):
        if is_free(port):
            chosen.append(port)
        if len(chosen) == count:
            return chosen
    raise BrokerError(f"no {count} free ports between {ports.start} and {ports.stop - 1}: end some servers")


def _first_ephemeral_port() -> int:
    """Where the kernel's range for outgoing connections begins; Linux's default where it does not say."""
    try:
        first = int(_EPHEMERAL_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 32_768
    return first if first > _LOWEST + 1000 else 32_768
