"""What systemd is told of this process (sd_notify(3)); nothing where it does not supervise us."""

from __future__ import annotations

import contextlib
import os
import socket


def notify(message: str) -> None:
    """Send one state, for example ``READY=1``; a supervisor that does not listen is no fault of ours."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender, contextlib.suppress(OSError):
        sender.sendto(message.encode(), address)
