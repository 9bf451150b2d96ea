"""A single-node Apache Kafka (KRaft) from the jars on Maven Central: for the demo, tests, small set-ups."""

from streams.broker.detached import default_directory, running_broker, start_detached, stop_detached
from streams.broker.embedded import EmbeddedBroker
from streams.broker.errors import BrokerError, BrokerUnavailableError
from streams.broker.state import NodeState

__all__ = [
    "BrokerError",
    "BrokerUnavailableError",
    "EmbeddedBroker",
    "NodeState",
    "default_directory",
    "running_broker",
    "start_detached",
    "stop_detached",
]
