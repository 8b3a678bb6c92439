"""Who writes to the API server in these tests: people and services with real tokens, and an administrator."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from schemas.names import (
    ANNOTATION_APPROVAL,
    ANNOTATION_APPROVAL_REASON,
    ANNOTATION_APPROVED_PLAN,
    ANNOTATION_APPROVER,
)
from tests.schemas.api import SECONDS, WORKFLOWS, Answer, Api, kubectl_program

if TYPE_CHECKING:
    from pathlib import Path

MERGE: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
APPLY: Final = "application/apply-patch+yaml"
DIGEST: Final = "3f0c5d1e9a7b2c48"
"""Of the plan that the runs of these tests show."""


class Person(msgspec.Struct, frozen=True):
    """Somebody with a right of access; `name` is how the API server knows them."""

    api: Api
    name: str
    headers: Mapping[str, str]

    def call(self, method: str, path: str, body: Any = None, *, kind: str = "application/json") -> Answer:
        """Send one request as this person."""
        return self.api.call(method, path, body, kind=kind, headers=self.headers)

    def create(self, namespace: str, body: Any, *, options: str = "") -> Answer:
        """Create a workflow."""
        return self.call("POST", WORKFLOWS.format(namespace) + options, body)

    def annotate(self, where: str, annotations: Mapping[str, str | None]) -> Answer:
        """Merge annotations into an object."""
        return self.call("PATCH", where, {"metadata": {"annotations": annotations}}, kind=MERGE)

    def posing_as(self, name: str) -> Person:
        """Return the same person, asking the server to be taken for another."""
        return Person(self.api, name, {**self.headers, "Impersonate-User": name})


def word(
    approver: str, verdict: str = "approved", *, plan: str | None = DIGEST, reason: str = "CHG-1"
) -> dict[str, str]:
    """Return the annotations of an approval, or of a rejection."""
    said = {ANNOTATION_APPROVAL: verdict, ANNOTATION_APPROVER: approver, ANNOTATION_APPROVAL_REASON: reason}
    return said | ({ANNOTATION_APPROVED_PLAN: plan} if plan is not None else {})


def kubeconfig_for(kubeconfig: str, folder: Path, name: str, token: str) -> str:
    """Write a kubeconfig for the same server with another's token and return its path."""
    command = [kubectl_program(), f"--kubeconfig={kubeconfig}", "config", "view", "--raw", "--flatten", "--minify"]
    seen = subprocess.run([*command, "-o=json"], capture_output=True, text=True, check=True, timeout=SECONDS).stdout
    content = json.loads(seen)
    content["users"][0]["user"] = {"token": token}
    file = folder / f"{name}.kubeconfig"
    file.write_text(json.dumps(content), "utf-8")
    return str(file)
