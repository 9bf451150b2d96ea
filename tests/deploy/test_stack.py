"""What the stack asks of other people's images is what these hold, and it comes back after a restart."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.debian_tools import debian_tool
from tests.deploy.linters import go_module_files

DEPLOY = Path(__file__).parents[2] / "deploy"

SERVICES: dict[str, dict[str, Any]] = {
    name: service
    for file in ("compose.yaml", "stack.yaml")
    for name, service in yaml.safe_load((DEPLOY / file).read_text())["services"].items()
}

PROGRAMS = {
    "apache/kafka": {"/opt/kafka/bin/kafka-broker-api-versions.sh"},
    "danielqsj/kafka-exporter": {"wget"},  # this one and the two below are made from Prometheus's busybox
    "prom/prometheus": {"wget"},
    "prom/alertmanager": {"wget"},
    "grafana/grafana": {"wget"},  # Alpine's busybox
}
"""What a health check may run, by image."""

PORTS = {"kafka": 9092, "kafka-exporter": 9308, "prometheus": 9090, "alertmanager": 9093, "grafana": 3000}

DOCKERFILES = {
    "prometheus": (
        # Prometheus 3.7.3 is the module's v0.307.3.
        "github.com/prometheus/prometheus/@v/v0.307.3",
        "636d032f3f1745d6eadbaa2bf30bf91d678a5ed6ef8937a56b99fb53b870c2d8",
    ),
    "alertmanager": (
        "github.com/prometheus/alertmanager/@v/v0.29.0",
        "3fa76af529268a74b5dd8e9651fdf0d16484b25539f2af3e07a0a196d4097793",
    ),
}


def targets(service: dict[str, Any]) -> dict[str, str]:
    """What is mounted, by where."""
    return {volume.split(":")[1]: volume.split(":")[0] for volume in service.get("volumes", [])}


@pytest.mark.parametrize("name", PORTS)
def test_a_health_check_runs_what_its_image_has_and_asks_the_services_own_port(name: str) -> None:
    service = SERVICES[name]
    form, *said = service["healthcheck"]["test"]
    words = shlex.split(said[0]) if form == "CMD-SHELL" else said
    program = next(word for word in words if not re.match(r"[A-Z_]+=", word))
    assert program in PROGRAMS[service["image"].split(":")[0]]
    assert f"127.0.0.1:{PORTS[name]}" in " ".join(words)


def test_every_service_that_goes_on_has_a_health_check_and_comes_back_with_docker() -> None:
    ends = {"topics", "stream"}
    for name, service in SERVICES.items():
        assert service["restart"] == ("on-failure" if name in ends else "unless-stopped"), name
        assert service.get("healthcheck", {}).get("disable", False) == (name in ends), name


def test_a_service_waits_until_what_it_needs_is_there() -> None:
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            ended = needed == "topics"
            wanted = "service_completed_successfully" if ended else "service_healthy"
            assert how["condition"] == wanted, (name, needed)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_arguments_and_volumes_are_those_that_the_images_dockerfile_asks_for(name: str) -> None:
    module, sha256 = DOCKERFILES[name]
    version = module.rpartition("/")[2]
    (dockerfile,) = go_module_files(module, sha256, [f"{name}@{version}/Dockerfile"])
    service = SERVICES[name]
    major, minor, patch = re.findall(r"\d+", service["image"].partition(":")[2])
    assert version in {f"v{major}.{minor}.{patch}", f"v0.{major}{int(minor):02}.{patch}"}, "the pin above is of another"
    (arguments,) = re.findall(r"^CMD\s+(\[.*?\])", dockerfile, re.MULTILINE | re.DOTALL)
    asked = dict(one.split("=") for one in json.loads(arguments.replace("\\\n", "")))
    given = dict(one.split("=") for one in service.get("command", [])) or asked
    assert {key: given.get(key) for key in asked} == asked
    (volume,) = re.findall(r'^VOLUME\s+\[ "(.*)" \]', dockerfile, re.MULTILINE)
    assert targets(service)[volume] == name, "a volume of that name: one without a name is lost"
    assert given["--config.file"] in targets(service)


def test_grafana_keeps_the_folders_that_its_image_has_for_what_is_not_provisioned() -> None:
    mounted = targets(SERVICES["grafana"])
    assert "/etc/grafana/provisioning" not in mounted
    for kind in (DEPLOY / "grafana" / "provisioning").iterdir():
        assert mounted[f"/etc/grafana/provisioning/{kind.name}"] == f"./grafana/provisioning/{kind.name}"


def test_the_stream_goes_on_where_it_was_and_can_be_stopped() -> None:
    (line,) = SERVICES["stream"]["command"]
    file = re.findall(r"--output (\S+)", line)[0]
    assert line.startswith(f"test -e {file} || cascadecast simulate ")
    last = line.rpartition("&& ")[2]
    assert last.startswith(f"exec cascadecast replay {file} "), "a shell would not pass the signal on"
    assert "--resume" in last
    assert "stream" in targets(SERVICES["stream"]).values()


def test_the_stacks_alertmanager_does_what_the_shipped_one_does_but_tells_nobody() -> None:
    shipped, stack = (
        yaml.safe_load((DEPLOY / "alertmanager" / file).read_text())
        for file in ("alertmanager.yml", "alertmanager.stack.yml")
    )
    assert [receiver["name"] for receiver in shipped["receivers"]] == [one["name"] for one in stack["receivers"]]
    assert all(set(receiver) == {"name"} for receiver in stack["receivers"])
    assert {**shipped, "receivers": []} == {**stack, "receivers": []}
    configuration = DEPLOY / "alertmanager" / "alertmanager.stack.yml"
    checked = subprocess.run(
        [debian_tool("amtool"), "check-config", configuration], capture_output=True, text=True, timeout=60, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
