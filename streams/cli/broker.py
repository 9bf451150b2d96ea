"""``cascadecast broker start | status | stop``: a single-node Kafka of one's own."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from streams.broker import NodeState

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="For data and log.  [default: the user's data folder]")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(help="Run a single-node Apache Kafka on this machine.", no_args_is_help=True)
    group.command()(start)
    group.command()(status)
    group.command()(stop)
    app.add_typer(group, name="broker")


def start(
    data_dir: DataDir = None,
    port: Annotated[int | None, typer.Option(help="Port for clients.  [default: as before, else any free one]")] = None,
    memory: Annotated[str, typer.Option(help="Heap of the Java process.")] = "512m",
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay; Ctrl-C stops the broker.")] = False,
    json: Json = False,
) -> None:
    """Start the broker and wait until it serves; it goes on running after this command has ended."""
    from streams.broker import default_directory, start_detached

    directory = data_dir or default_directory()
    if foreground:
        _run_in_foreground(directory, port, memory)
        return
    began = time.monotonic()
    state = start_detached(directory, port=port, heap=memory, announce=_tell)
    _show("broker start", time.monotonic() - began, directory, state, json)


def status(data_dir: DataDir = None, json: Json = False) -> None:
    """Say whether the broker runs, and where; exit code 1 when it does not."""
    from streams.broker import default_directory, running_broker

    directory = data_dir or default_directory()
    running = running_broker(directory)
    _show("broker status", 0.0, directory, running, json)
    if running is None:
        raise typer.Exit(1)


def stop(data_dir: DataDir = None, json: Json = False) -> None:
    """Stop the broker cleanly and wait for its end; its data stays."""
    from streams.broker import default_directory, stop_detached

    directory = data_dir or default_directory()
    began = time.monotonic()
    stopped = stop_detached(directory)
    if stopped is not None:
        _tell(f"stopped the broker (pid {stopped.pid}); its data stays in {directory}")
    if json or stopped is None:
        _show("broker stop", time.monotonic() - began, directory, None, json)


def _run_in_foreground(directory: Path, port: int | None, memory: str) -> None:
    """Until Kafka ends, or a signal ends this process and Kafka with it."""
    from streams.broker import BrokerError, EmbeddedBroker

    def leave(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, leave)
    try:
        with EmbeddedBroker(directory, port=port, heap=memory, announce=_tell) as broker:
            _tell(f"Kafka serves at {broker.bootstrap_servers}, data in {directory}; Ctrl-C stops it")
            exit_status = broker.wait()
            if exit_status not in (0, 128 + signal.SIGTERM):  # `broker stop` elsewhere is no fault
                raise BrokerError(f"Kafka ended with status {exit_status}; its log: {broker.log_path}")
    except KeyboardInterrupt:
        _tell("stopped")
    finally:
        signal.signal(signal.SIGTERM, before)


def _show(command: str, seconds: float, directory: Path, running: NodeState | None, json: bool) -> None:
    row: dict[str, Any] = {"running": running is not None, "data_dir": str(directory)}
    if running is not None:
        row |= {
            "pid": running.pid,
            "bootstrap_servers": running.bootstrap_servers,
            "kafka_version": running.kafka_version,
            "memory": running.heap,
            "log": str(directory / "kafka.log"),
        }
    if json:
        from streams.cli.results import print_result

        print_result(command, seconds, [row])
    elif running is not None:
        typer.echo(f"Kafka {running.kafka_version} serves at {running.bootstrap_servers} (pid {running.pid})")
        typer.echo(f"data and log: {directory}")
    else:
        typer.echo(f"no broker runs on {directory}")


def _tell(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
