"""The Kubernetes resources, held strictly against the schemas of Kubernetes, the Prometheus operator and KEDA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from deploy.kubernetes_rules import ALERT_RULES, PROMETHEUS_RULE, alert_rules, prometheus_rule
from streams.alerts.delivery.targets_file import read_targets
from streams.settings import load_settings
from tests.deploy.linters import go_module_files, run

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"

OPERATOR = (
    "github.com/prometheus-operator/prometheus-operator/@v/v0.85.0",
    "0bdb88ed823d0f2e86cf909638439b6ad1da744a228172c7411d9987527dc5d1",
)
KEDA = (
    "github.com/kedacore/keda/v2/@v/v2.18.0",
    "290aeed7e5a3dccafd1fa99d68cd33c65b53fe563768ca45debc2c66896cc7d8",
)
DEFINED = {
    "servicemonitor.yaml": (*OPERATOR, "prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"),
    "prometheusrule.yaml": (*OPERATOR, "prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml"),
    "scaler.yaml": (*KEDA, "config/crd/bases/keda.sh_scaledobjects.yaml"),
}
"""Resources that a cluster knows only by what was installed in it."""


def resources(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


WORKERS = resources("workers.yaml")[0]
CONTAINER = WORKERS["spec"]["template"]["spec"]["containers"][0]


def test_kubernetes_own_resources_are_valid_without_a_field_too_many() -> None:
    files = [path for path in sorted(FOLDER.glob("*.yaml")) if path.name not in DEFINED | {"kustomization.yaml": ()}]
    found = run("kubernetes-validate", "--strict", "--quiet", *files)
    assert (found.returncode, found.stdout + found.stderr) == (0, "")


@pytest.mark.parametrize("name", DEFINED)
def test_defined_resources_are_valid_without_a_field_too_many(name: str) -> None:
    module, sha256, path = DEFINED[name]
    (definition,) = (yaml.safe_load(found) for found in go_module_files(module, sha256, [path]))
    (resource,) = resources(name)
    version = next(one for one in definition["spec"]["versions"] if resource["apiVersion"].endswith(f"/{one['name']}"))
    jsonschema_rs.validate(_closed(version["schema"]["openAPIV3Schema"]), resource)


def _closed(schema: Any) -> Any:
    """The schema without leave for fields that it does not name."""
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items() if key != "properties"}
    if "properties" in schema:
        closed["properties"] = {name: _closed(value) for name, value in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields") and set(schema["properties"]) != {"metadata"}:
            closed.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    return closed


def test_a_field_too_many_would_be_seen() -> None:
    closed = _closed({"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {}}}}})
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.validate(closed, {"a": {"b": 1, "c": 2}})


def test_the_rules_are_those_of_the_rule_files(tmp_path: Path) -> None:
    assert prometheus_rule() == PROMETHEUS_RULE.read_text(), "run python -m deploy.kubernetes_rules"
    assert alert_rules() == ALERT_RULES.read_text(), "run python -m deploy.kubernetes_rules"
    (rules,) = resources("rules.yaml")
    assert rules["data"]["rules.toml"] == (FOLDER.parent / "alerts" / "rules.toml").read_text()


@pytest.mark.parametrize("text", ["kubernetes/deliver.yaml", "alerts/targets.stack.toml"])
def test_the_targets_are_targets(text: str, tmp_path: Path) -> None:
    path = FOLDER.parent / text
    if path.suffix == ".yaml":
        (config, _) = resources(path.name)
        path = tmp_path / "targets.toml"
        path.write_text(config["data"]["targets.toml"])
    assert read_targets(path)


def test_all_resources_are_in_the_kustomization() -> None:
    (kustomization,) = resources("kustomization.yaml")
    files = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml", "token.example.yaml"}
    assert set(kustomization["resources"]) == files


def test_the_settings_are_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "worker.toml"
    path.write_text(resources("settings.yaml")[0]["data"]["worker.toml"])
    monkeypatch.setenv("CASCADECAST_CONFIG", str(path))
    for variable in CONTAINER["env"]:
        if variable["name"] not in ("POD_NAME", "CASCADECAST_CONFIG"):
            monkeypatch.setenv(variable["name"], variable["value"].replace("$(POD_NAME)", "worker-0"))
    settings = load_settings()
    assert settings.instance_id == "worker-0"
    assert settings.http_advertised_host == f"worker-0.{WORKERS['spec']['serviceName']}"
    limit = int(CONTAINER["resources"]["limits"]["memory"].removesuffix("Gi")) * 1024**3
    assert settings.memory_limit_bytes <= limit / 2, "the models and the rest need room too"


def test_pods_may_do_nothing_they_do_not_need() -> None:
    pod = WORKERS["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
