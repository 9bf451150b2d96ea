"""Rules as Kubernetes resources, for Prometheus and for workers; ``python -m deploy.kubernetes_rules`` writes them.

kubernetes/prometheusrule.yaml is made from prometheus/rules, kubernetes/rules.yaml from alerts/rules.toml.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Final

import yaml

HERE: Final = Path(__file__).parent
PROMETHEUS_RULE: Final = HERE / "kubernetes" / "prometheusrule.yaml"
ALERT_RULES: Final = HERE / "kubernetes" / "rules.yaml"


def prometheus_rule() -> str:
    """The rules of all files as one resource of the Prometheus operator."""
    files = sorted((HERE / "prometheus" / "rules").glob("*.yml"))
    groups = [group for path in files for group in yaml.safe_load(path.read_text())["groups"]]
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "cascadecast", "labels": {"app.kubernetes.io/name": "cascadecast"}},
        "spec": {"groups": groups},
    }
    head = "# Made from deploy/prometheus/rules by python -m deploy.kubernetes_rules.\n"
    return head + yaml.safe_dump(resource, sort_keys=False, width=1000)


def alert_rules() -> str:
    """The example of alert rules as a ConfigMap."""
    rules = (HERE / "alerts" / "rules.toml").read_text()
    head = "# Made from deploy/alerts/rules.toml by python -m deploy.kubernetes_rules.\n"
    meta = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: alert-rules\ndata:\n  rules.toml: |\n"
    return head + meta + textwrap.indent(rules, "    ", lambda line: bool(line.strip()))


def main() -> None:
    """Write the files."""
    PROMETHEUS_RULE.write_text(prometheus_rule())
    ALERT_RULES.write_text(alert_rules())


if __name__ == "__main__":
    main()
