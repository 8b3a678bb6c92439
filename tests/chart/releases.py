"""The chart as people would install it: sets of values, and what is rendered of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tests.tools.charts import Helm, objects, rendered

Values = Mapping[str, Any]
Manifest = dict[str, Any]
NAMESPACE: Final = "kubernaut-system"
SERVICES: Final = ("watcher", "scheduler", "executor-bridge", "auditor")

MINIMAL: Final[Values] = {
    "nats": {"url": "tls://nats.nats.svc:4222", "auth": {"existingSecret": "nats-users"}},
    "postgresql": {
        "host": "postgresql.db.svc",
        "tls": {"existingSecret": "postgresql-ca"},
        "writer": {"existingSecret": "postgresql-writer"},
        "owner": {"existingSecret": "postgresql-owner"},
    },
}
TRYING: Final[Values] = {
    "nats": {"auth": {"method": "none"}, "builtin": {"enabled": True}},
    "postgresql": {
        "builtin": {"enabled": True, "existingSecret": "postgresql"},
        "writer": {"existingSecret": "postgresql", "passwordKey": "kubernaut_writer"},
        "owner": {"existingSecret": "postgresql", "passwordKey": "kubernaut_owner"},
    },
    "defaults": {"replicas": 1},
}
EVERYTHING: Final[Values] = {
    "commonLabels": {"team": "platform"},
    "image": {"digest": f"sha256:{'0' * 64}", "pullSecrets": ["registry"], "pullPolicy": "Always"},
    "nats": {
        "url": "tls://nats-0.nats:4222,tls://nats-1.nats:4222",
        "auth": {"method": "creds", "existingSecret": "nats-users"},
        "tls": {"existingSecret": "nats-tls", "handshakeFirst": True},
    },
    "postgresql": {
        "host": "postgresql.db.svc",
        "port": 5433,
        "tls": {"existingSecret": "postgresql-ca"},
        "writer": {"existingSecret": "postgresql-writer", "certificateSecret": "postgresql-writer-tls"},
        "owner": {"existingSecret": "postgresql-owner", "urlKey": "uri"},
    },
    "bind": "::",
    "logLevel": "debug",
    "stopSeconds": 50,
    "tracing": {"endpoint": "http://collector.tracing.svc:4318", "headersSecret": "collector"},
    "defaults": {
        "replicas": 3,
        "podLabels": {"cost": "a"},
        "podAnnotations": {"sidecar.istio.io/inject": "false"},
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
        "priorityClassName": "system-cluster-critical",
        "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        "serviceAccount": {"annotations": {"example.com/role": "a"}},
    },
    "services": {
        "watcher": {"resyncSeconds": 300, "freshnessSeconds": 30, "replicas": 2, "resources": {"limits": {"cpu": "1"}}},
        "scheduler": {"maxActiveWorkflows": 250},
        "executorBridge": {"clustersSecret": "clusters"},
        "auditor": {"learnSeconds": 120, "sealSeconds": 30},
    },
    "podDisruptionBudget": {"minAvailable": 1},
    "networkPolicy": {"nats": {"to": [{"podSelector": {"matchLabels": {"app": "nats"}}}]}},
    "metrics": {
        "auth": {
            "enabled": True,
            "audience": "kubernaut-metrics",
            "readers": [{"namespace": "monitoring", "name": "prometheus"}],
        },
        "tls": {"existingSecret": "metrics-tls"},
    },
    "observability": {"dashboard": {"enabled": True}},
}


def namespaced(*namespaces: str) -> Values:
    """Return values for an installation that serves these namespaces only."""
    return {**EVERYTHING, "kubernetes": {"namespaces": list(namespaces)}}


SETS: Final[Mapping[str, Values]] = {
    "minimal": MINIMAL,
    "for trying": TRYING,
    "everything": EVERYTHING,
    "in namespaces": namespaced("shop", "payments"),
}


def release(helm: Helm, values: Values) -> list[Manifest]:
    """Return every object of a release named `kubernaut`."""
    return objects(rendered(helm, values, namespace=NAMESPACE))


def one(made: Iterable[Manifest], kind: str, name: str) -> Manifest:
    """Return the object of that kind and name."""
    (found,) = [each for each in made if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def pod_of(made: Iterable[Manifest], service: str) -> Manifest:
    """Return the spec of the pods of a service."""
    spec: Manifest = one(made, "Deployment", f"kubernaut-{service}")["spec"]["template"]["spec"]
    return spec


def environment_of(pod: Manifest) -> dict[str, str]:
    """Return the variables of its container; those that come from elsewhere with `source=where` as value."""
    (container,) = pod["containers"]
    return {each["name"]: each["value"] if "value" in each else _source(each["valueFrom"]) for each in container["env"]}


def _source(value_from: Manifest) -> str:
    ((kind, where),) = value_from.items()
    return f"{kind}={'/'.join(where.values())}"
