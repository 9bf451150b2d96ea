"""kubernetes/prometheusrule.yaml, made from prometheus/rules. ``python -m deploy.kubernetes_rules`` writes it anew."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import yaml

HERE: Final = Path(__file__).parent
TARGET: Final = HERE / "kubernetes" / "prometheusrule.yaml"


def text() -> str:
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


def main() -> None:
    """Write the file."""
    TARGET.write_text(text())


if __name__ == "__main__":
    main()
