"""helm and kubeconform for tests, and what they need of a real API server."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.schemas.api import Api
from tests.tools.build import built
from tests.tools.kinds import LOCATION, schema_files

_MODULES: Final = Path(__file__).parent / "cluster"
_SECONDS: Final = 120.0
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


def write_kinds(api: Api, folder: Path) -> None:
    """Write the JSON Schema of every kind that the server has, those of resource definitions as well."""
    for entry in api.call("GET", "/openapi/v3").object["paths"].values():
        document = api.call("GET", entry["serverRelativeURL"]).object
        if "components" in document:
            for name, schema in schema_files(document):
                (folder / name).write_text(json.dumps(schema))


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
