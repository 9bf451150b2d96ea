"""The image and the compose files, as the strictest of their linters see them."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.deploy.linters import run

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
