"""What can go wrong with the embedded broker, said so that the user can go on."""

from __future__ import annotations

from typing import Final

from graph.errors import UserError

WAYS_OUT: Final = (
    "three ways out: run Kafka with Docker compose (deploy/), name a cluster of your own with "
    "--bootstrap-servers, or use `cascadecast forecast FILE`, which needs no broker"
)
"""What a machine that cannot run the embedded broker can still do."""


class BrokerError(UserError):
    """The embedded broker cannot start, stop or be found."""


class BrokerUnavailableError(BrokerError):
    """This machine lacks what the embedded broker needs; the message ends with the three ways out."""

    def __init__(self, lack: str) -> None:
        super().__init__(f"the embedded Kafka cannot run here: {lack}; {WAYS_OUT}")
