"""``cascadecast worker``: the Faust worker."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from streams.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command; what it does not know goes to Faust's own worker command."""
    app.command("worker", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(worker)


def worker(
    context: typer.Context,
    bootstrap_servers: Annotated[
        str | None,
        typer.Option(help="Kafka: host:port, comma-separated. [env CASCADECAST_BOOTSTRAP_SERVERS]"),
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Local copy of the durable state; one a worker.")] = None,
    models: Annotated[str | None, typer.Option(help="Comma-separated: name, name@version or name@alias.")] = None,
    http_port: Annotated[int | None, typer.Option(help="Port of /metrics, /healthz and /readyz.")] = None,
    alert_rules: Annotated[
        Path | None, typer.Option(help="TOML file of alert rules, followed while the worker runs.")
    ] = None,
    shed: Annotated[
        bool | None,
        typer.Option("--shed/--no-shed", help="Under overload supersede waiting forecasts, or hold back the input."),
    ] = None,
    processes: Annotated[
        int, typer.Option(min=1, help="Worker processes on this machine; directories and ports are numbered.")
    ] = 1,
    config: Annotated[Path | None, typer.Option(help="TOML file of settings.", exists=True, dir_okay=False)] = None,
    log_format: Annotated[str | None, typer.Option(help="json or console.")] = None,
) -> None:
    """Run a worker: events in, forecasts out. SIGTERM drains and stops it.

    Every setting can be given as CASCADECAST_<NAME> or in a TOML file; further options go to Faust's worker.
    """
    from streams.alerts.rule_file import load_rules
    from streams.app import build_app
    from streams.engine.inference import load_service
    from streams.engine.lineup_loading import LineupLoader
    from streams.kafka.topics import source_layout
    from streams.logs import configure_logging
    from streams.settings import load_settings
    from streams.worker.collector import settle
    from streams.worker.turns import take_short_turns

    settings = load_settings(
        config,
        bootstrap_servers=bootstrap_servers,
        data_dir=data_dir,
        models=models,
        http_port=http_port,
        alert_rules=alert_rules,
        shed=shed,
        log_format=log_format,
    )
    settings.http_secret()  # says what is wrong with it before anything is started
    if settings.alert_rules is not None:
        load_rules(settings.alert_rules, settings.horizon_seconds, settings.models_dir)
    if processes > 1:
        _make(settings.data_dir)
        raise typer.Exit(_supervise(settings, processes))
    security = settings.kafka_security()
    _require_free(settings.http_host, settings.http_port)
    handler = configure_logging(settings.log_level, settings.log_format)
    partitions, replication = source_layout(settings.bootstrap_servers, settings.topic_prefix, security)
    settings = settings.of_partitions(partitions)
    loader = LineupLoader(settings, challengers=True)
    service = load_service(settings, loader)
    _make(settings.data_dir)
    app = build_app(settings, service, loader, partitions, replication, handler)
    settle()
    take_short_turns()
    # Faust parses the process arguments itself.
    sys.argv = ["cascadecast", "--quiet", "worker", "--loglevel", settings.log_level, *context.args]
    app.main()


def _make(data_dir: Path) -> None:
    """Raise UserError, before anything is started, when there is no such directory and none can be made."""
    from graph.errors import UserError

    try:
        data_dir.mkdir(parents=True, exist_ok=True)  # Faust makes the last folder of a path alone
    except OSError as error:
        raise UserError(f"data_dir {data_dir} cannot be made ({error.strerror}): give another") from None


def _supervise(settings: Settings, processes: int) -> int:
    from streams.logs import configure_logging
    from streams.supervision.processes import Supervisor, arguments_for_each, plans

    configure_logging(settings.log_level, settings.log_format)
    command = [sys.executable, "-P", "-m", "streams.cli", *arguments_for_each(sys.argv[1:])]
    return Supervisor(plans(settings, processes), command).run()


def _require_free(host: str, port: int) -> None:
    """Raise UserError, before anything is started, when the HTTP port cannot be had."""
    import socket

    from graph.errors import UserError

    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = f"cannot be listened on ({error.strerror})"
            raise UserError(f"{host}:{port} {reason}: give another --http-port") from None
