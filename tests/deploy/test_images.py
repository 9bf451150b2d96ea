"""The image and the compose files, as the strictest of their linters see them."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from streams.cli.main import build_app
from streams.settings import Settings, load_settings
from tests.deploy.linters import run
from tests.test_docs import Quoted, problem

DEPLOY = Path(__file__).parents[2] / "deploy"


def test_the_dockerfile_is_clean() -> None:
    found = run("hadolint", "--failure-threshold", "style", DEPLOY / "Dockerfile")
    assert (found.returncode, found.stdout) == (0, "")


def test_the_image_is_made_of_what_the_repository_has() -> None:
    copied = [
        line.split()[1:-1] for line in (DEPLOY / "Dockerfile").read_text().splitlines() if line.startswith("COPY")
    ]
    wanted = {name for names in copied for name in names if not name.startswith("--") and "/" not in name}
    let_in = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"}
    assert wanted == let_in
    assert all((DEPLOY.parent / name).exists() for name in wanted)


def test_compose_files_follow_the_specification() -> None:
    files = [DEPLOY / "compose.yaml", DEPLOY / "stack.yaml"]
    found = run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", *files)
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_stack_mounts_what_there_is_and_opens_no_port_to_others() -> None:
    stack = yaml.safe_load((DEPLOY / "stack.yaml").read_text())
    for service in stack["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in stack["volumes"] or (DEPLOY / source).exists(), source
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_prometheus_scrapes_the_stacks_workers() -> None:
    stack = yaml.safe_load((DEPLOY / "stack.yaml").read_text())
    jobs = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    targets = {job["job_name"]: {t for one in job["static_configs"] for t in one["targets"]} for job in jobs}
    assert targets["cascadecast"] == {f"{name}:6066" for name in stack["services"] if name.startswith("worker-")}
    assert {target.split(":")[0] for found in targets.values() for target in found} <= set(stack["services"])


def ours(stack: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The services that run our image."""
    return {name: one for name, one in stack["services"].items() if one.get("image") == "cascadecast"}


def test_the_stacks_commands_would_be_understood() -> None:
    commands = typer.main.get_command(build_app())
    for name, service in ours(yaml.safe_load((DEPLOY / "stack.yaml").read_text())).items():
        said = service.get("command", ["worker"])
        shell = "entrypoint" in service
        for line in re.findall(r"cascadecast [^&|]+", said[0]) if shell else [shlex.join(["cascadecast", *said])]:
            assert problem(commands, Quoted(line.strip(), complete=True)) is None, (name, line)


def test_the_stacks_environment_is_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("CASCADECAST_")]:
        monkeypatch.delenv(variable)
    services = ours(yaml.safe_load((DEPLOY / "stack.yaml").read_text()))
    for service in services.values():
        with monkeypatch.context() as patch:
            for name, value in service["environment"].items():
                patch.setenv(name, value)
            settings = load_settings()
            assert settings.http_secret() is None, "the stack opens its pages to its own network"
            targets = {volume.split(":")[1] for volume in service.get("volumes", [])}
            if "CASCADECAST_INSTANCE_ID" in service["environment"]:
                assert str(settings.alert_rules) in targets
    assert len(services) == 5


def test_image_pods_and_scrapes_agree_on_port_user_and_directories() -> None:
    image = (DEPLOY / "Dockerfile").read_text()
    workers = next(
        one
        for one in yaml.safe_load_all((DEPLOY / "kubernetes" / "workers.yaml").read_text())
        if one["kind"] == "StatefulSet"
    )
    pod = workers["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    port = Settings.model_fields["http_port"].default
    assert f"EXPOSE {port}\n" in image
    assert f":${{CASCADECAST_HTTP_PORT:-{port}}}/healthz" in image
    assert [one["containerPort"] for one in container["ports"]] == [port]
    (user,) = re.findall(r"^USER (\d+):", image, re.MULTILINE)
    assert pod["securityContext"]["runAsUser"] == int(user)
    (data,) = re.findall(r"CASCADECAST_DATA_DIR=(\S+)", image)
    assert f"VOLUME {data}\n" in image
    assert data in {mount["mountPath"] for mount in container["volumeMounts"]}
    stack = yaml.safe_load((DEPLOY / "stack.yaml").read_text())
    for name in ("worker-1", "worker-2"):
        assert f"{name}:{data}" in stack["services"][name]["volumes"]


def test_grafana_finds_the_dashboards_where_the_stack_puts_them() -> None:
    stack = yaml.safe_load((DEPLOY / "stack.yaml").read_text())
    (place,) = (
        volume.split(":")[1]
        for volume in stack["services"]["grafana"]["volumes"]
        if volume.startswith("./grafana/dashboards")
    )
    (provider,) = (DEPLOY / "grafana" / "provisioning" / "dashboards").glob("*.yml")
    assert [one["options"]["path"] for one in yaml.safe_load(provider.read_text())["providers"]] == [place]
    home = stack["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (DEPLOY / "grafana" / "dashboards" / Path(home).name).exists()
