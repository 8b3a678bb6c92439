"""helm and kubeconform for tests, and what they need of a real API server."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

import yaml

from tests.schemas.api import CRDS, Api
from tests.tools.build import built
from tests.tools.kinds import LOCATION, schema_files

_MODULES: Final = Path(__file__).parent / "cluster"
_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 0.5
CHART: Final = Path(__file__).parents[2] / "deploy" / "chart"
KUBERNETES: Final = "1.36.0"
"""What is rendered for; a server says it by itself."""
helm_program: Final = partial(built, _MODULES, "helm.sh/helm/v4/cmd/helm")
kubeconform_program: Final = partial(built, _MODULES, "github.com/yannh/kubeconform/cmd/kubeconform")


class Helm:
    """The helm command with folders of its own: it reads and writes nothing of the user's."""

    def __init__(self, program: Path, home: Path, kubeconfig: str = "") -> None:
        """`home`: where it keeps its cache and settings; `kubeconfig`: of the cluster that it may change."""
        self._program = program
        self._environment = {
            "HOME": str(home),
            "HELM_CACHE_HOME": str(home / "cache"),
            "HELM_CONFIG_HOME": str(home / "config"),
            "HELM_DATA_HOME": str(home / "data"),
            "KUBECONFIG": kubeconfig or str(home / "no-kubeconfig"),
        }

    def run(self, *arguments: str | Path, stdin: str = "") -> str:
        """Return what it prints; AssertionError with what it says when it fails."""
        done = self.tried(*arguments, stdin=stdin)
        assert done.returncode == 0, f"helm {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}"
        return done.stdout

    def tried(self, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run it, whatever comes of it."""
        return subprocess.run(
            [self._program, *arguments],
            input=stdin,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )


def rendered(helm: Helm, values: Mapping[str, Any], *, release: str = "kubernaut", namespace: str = "kubernaut") -> str:
    """Return what the chart makes of values."""
    return _rendered(helm, release, namespace, json.dumps(values))


@cache
def _rendered(helm: Helm, release: str, namespace: str, values: str) -> str:
    return helm.run(*_template(release, namespace), stdin=values)


def refusal(helm: Helm, values: Mapping[str, Any]) -> str:
    """Return why the chart makes nothing of values; AssertionError when it does."""
    done = helm.tried(*_template("kubernaut", "kubernaut"), stdin=json.dumps(values))
    assert done.returncode != 0, done.stdout
    return done.stderr


def _template(release: str, namespace: str) -> tuple[str | Path, ...]:
    return ("template", release, CHART, "--namespace", namespace, "--kube-version", KUBERNETES, "--values", "-")


def objects(manifests: str) -> list[dict[str, Any]]:
    """Return all objects of manifests, in their order."""
    return [each for each in yaml.load_all(manifests, Loader=yaml.CSafeLoader) if each]


def of_kind(manifests: str, kind: str) -> dict[str, dict[str, Any]]:
    """Return the objects of one kind by name."""
    return {each["metadata"]["name"]: each for each in objects(manifests) if each["kind"] == kind}


def write_kinds(api: Api, folder: Path) -> None:
    """Write the JSON Schema of every kind that the server has, those of resource definitions as well.

    Of a definition it tells a moment after it serves it.
    """
    end = time.monotonic() + _SECONDS
    while missing := _defined(api) - _written(api, folder):
        assert time.monotonic() < end, f"the server does not tell of {sorted(missing)}"
        time.sleep(_POLL_SECONDS)


def _written(api: Api, folder: Path) -> set[str]:
    """Write what it tells now; return the names of the files.

    By their paths: the addresses that it gives with them hold a hash, and lead nowhere once a definition changed.
    """
    written = set()
    for path in api.call("GET", "/openapi/v3").object["paths"]:
        document = api.call("GET", f"/openapi/v3/{path}").object
        if "components" in document:
            for name, schema in schema_files(document):
                (folder / name).write_text(json.dumps(schema))
                written.add(name)
    return written


def _defined(api: Api) -> set[str]:
    """Return the names of the files of all kinds that resource definitions define."""
    specs = [each["spec"] for each in api.call("GET", CRDS).object["items"]]
    return {
        f"{spec['group']}_{version['name']}_{spec['names']['kind'].lower()}.json"
        for spec in specs
        for version in spec["versions"]
        if version["served"]
    }


def wrong_kinds(program: Path, kinds: Path, manifests: str) -> list[str]:
    """Hold manifests against the schemas in a folder, strictly; return what is wrong with each resource that is not."""
    done = subprocess.run(
        [program, "-strict", "-output", "json", "-schema-location", f"{kinds}/{LOCATION}", "-"],
        input=manifests,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return [f"{each['kind']} {each['name']}: {each['msg']}" for each in told["resources"] or ()]


@contextmanager
def held_to(level: str, api: Api, namespace: str) -> Iterator[str]:
    """Make a namespace whose pods must keep to a level of the pod security standards; delete it at the end."""
    labels = {f"pod-security.kubernetes.io/{what}": level for what in ("enforce", "warn")}
    answer = api.call("POST", "/api/v1/namespaces", {"metadata": {"name": namespace, "labels": labels}})
    assert answer.code == 201, answer.message
    try:
        yield namespace
    finally:
        api.call("DELETE", f"/api/v1/namespaces/{namespace}")
