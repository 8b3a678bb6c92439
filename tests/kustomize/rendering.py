"""`python -m tests.kustomize.rendering`: writes what deploy/kustomize holds of the chart, rendered with its values."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from tests.chart.values import over
from tests.tools.charts import Helm, helm_program, rendered

FOLDER: Final = Path(__file__).parents[2] / "deploy" / "kustomize"
_MADE: Final = "# Made by `make kustomize` from deploy/chart; do not edit.\n"
_SOURCE: Final = re.compile(r"^---\n# Source: kubernaut-workflow/templates/(\S+)\n", re.MULTILINE)
_HELMS: Final = re.compile(r"^ +(helm\.sh/chart: .*|app\.kubernetes\.io/managed-by: Helm)\n", re.MULTILINE)
Values = dict[str, Any]
_TRYING: Final[Values] = {
    "nats": {"url": "", "builtin": {"enabled": True, "usersSecret": "nats-users"}, "tls": {"existingSecret": ""}},
    "postgresql": {
        "host": "",
        "tls": {"existingSecret": ""},
        "builtin": {"enabled": True, "existingSecret": "kubernaut-postgresql"},
        "owner": {"existingSecret": "kubernaut-postgresql", "passwordKey": "owner"},
        "writer": {"existingSecret": "kubernaut-postgresql", "passwordKey": "writer"},
    },
    "defaults": {"replicas": 1},
}
_SERVERS: Final = ("nats/", "postgresql/")
_RIGHTS: Final = ("rbac/services.yaml",)
_METRICS: Final[Values] = {
    "observability": {
        "serviceMonitor": {"enabled": True},
        "prometheusRule": {"enabled": True},
        "dashboard": {"enabled": True},
    }
}
_FILES: Final[Mapping[str, tuple[Values, Callable[[str], bool]]]] = {
    "definitions/definitions.yaml": ({}, lambda name: name == "cluster/definitions.yaml"),
    "core/services.yaml": ({}, lambda name: not name.startswith(("cluster/", *_RIGHTS))),
    "base/rights.yaml": ({}, lambda name: name.startswith(_RIGHTS)),
    "overlays/namespaced/rights.yaml": (
        {"kubernetes": {"namespaces": ["shop", "payments"]}},
        lambda name: name.startswith(_RIGHTS),
    ),
    "overlays/trying/everything.yaml": (_TRYING, lambda name: name != "cluster/definitions.yaml"),
    "components/keda/scaledobjects.yaml": (
        {"autoscaling": {"method": "keda", "keda": {"natsMonitoring": "nats-headless.nats.svc:8222"}}},
        lambda name: name.startswith("autoscaling/"),
    ),
    "components/hpa/autoscalers.yaml": (
        {"autoscaling": {"method": "hpa"}},
        lambda name: name.startswith("autoscaling/"),
    ),
    "components/monitoring/monitoring.yaml": (_METRICS, lambda name: name.startswith("monitoring/")),
    "components/admission/policies.yaml": (
        {"admission": {"enabled": True}},
        lambda name: name == "cluster/admission.yaml",
    ),
}


def files(helm: Helm) -> dict[str, str]:
    """Return the content of each generated file by its path in the folder."""
    common = yaml.safe_load((FOLDER / "values.yaml").read_text(encoding="utf-8"))
    return {
        path: _MADE + _parts(rendered(helm, over(common, values), namespace="kubernaut-system"), chosen)
        for path, (values, chosen) in _FILES.items()
    }


def _parts(manifests: str, chosen: Callable[[str], bool]) -> str:
    """Return the documents of the chosen templates, without the labels that say that Helm looks after them."""
    pieces = _SOURCE.split(manifests)
    named = zip(pieces[1::2], pieces[2::2], strict=True)
    return _HELMS.sub("", "".join(f"---\n{text.strip()}\n" for name, text in named if chosen(name)))


def main() -> None:
    """Write each file."""
    with tempfile.TemporaryDirectory() as home:
        for path, text in files(Helm(helm_program(), Path(home))).items():
            (FOLDER / path).write_text(text, encoding="utf-8", newline="\n")
            sys.stdout.write(f"wrote deploy/kustomize/{path}\n")


if __name__ == "__main__":
    main()
