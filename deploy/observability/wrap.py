# ruff: noqa: INP001 - a program by itself
"""`python deploy/observability/wrap.py`: makes prometheusrule.yaml, for the Prometheus Operator, from rules.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

HERE: Final = Path(__file__).resolve().parent
RULES: Final = HERE / "rules.yaml"
WRAPPED: Final = HERE / "prometheusrule.yaml"
_MADE: Final = "# Made by `python deploy/observability/wrap.py` from rules.yaml; do not edit.\n"


def wrapped(rules: str) -> str:
    """Return the PrometheusRule that holds the groups of a rule file."""
    made: dict[str, Any] = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "kubernaut-workflow", "labels": {"app.kubernetes.io/part-of": "kubernaut-workflow"}},
        "spec": yaml.safe_load(rules),
    }
    return _MADE + yaml.safe_dump(made, sort_keys=False, width=120, allow_unicode=True)


if __name__ == "__main__":
    WRAPPED.write_text(wrapped(RULES.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
