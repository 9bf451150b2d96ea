"""The embedded broker with a second listener, which is advertised at the address of a proxy."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

from streams.broker import EmbeddedBroker
from streams.broker.ports import free_ports


class ChaosBroker(EmbeddedBroker):
    """`bootstrap_servers` is the way around the proxy; workers and the replay use `proxied_servers`."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self.proxied_port, self.listener_port = free_ports(2)

    @property
    def proxied_servers(self) -> str:
        return f"127.0.0.1:{self.proxied_port}"

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # killed meanwhile
            os.kill(self.pid, signal.SIGCONT)

    def _spawn(self, command: list[str], console: Path) -> Any:
        """Add the listener to the properties that were just written: of two lines Java takes the later one."""
        properties = Path(command[-1])
        written = dict(line.split("=", 1) for line in properties.read_text().splitlines() if line[:1] not in ("", "#"))
        properties.write_text(
            f"{properties.read_text()}\n"
            f"listeners={written['listeners']},PROXIED://127.0.0.1:{self.listener_port}\n"
            f"advertised.listeners={written['advertised.listeners']},PROXIED://{self.proxied_servers}\n"
            f"listener.security.protocol.map={written['listener.security.protocol.map']},PROXIED:PLAINTEXT\n"
        )
        return super()._spawn(command, console)
