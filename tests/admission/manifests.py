"""What is shipped in deploy/admission, and the same bound to some namespaces only."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Final

import yaml

FOLDER: Final = Path(__file__).resolve().parents[2] / "deploy" / "admission"
ROLES: Final = FOLDER.with_name("rbac")
SHIPPED: Final = tuple(sorted(file.name for file in FOLDER.glob("*.yaml")))
POLICIES: Final = ("ValidatingAdmissionPolicy", "MutatingAdmissionPolicy")
BINDINGS: Final = tuple(f"{kind}Binding" for kind in POLICIES)
PLURALS: Final = {
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
    "MutatingAdmissionPolicy": "mutatingadmissionpolicies",
    "MutatingAdmissionPolicyBinding": "mutatingadmissionpolicybindings",
    "ClusterRole": "clusterroles",
}
Manifest = dict[str, Any]


def shipped(*files: str) -> list[Manifest]:
    """Read files of the folder, all by default."""
    texts = ((FOLDER / name).read_text("utf-8") for name in files or SHIPPED)
    return [found for text in texts for found in yaml.safe_load_all(text)]


def only_where(manifest: Manifest, label: str, mark: str) -> Manifest:
    """Return a copy under a name of its own that is in force where namespaces have a label, and nowhere else."""
    ours = copy.deepcopy(manifest)
    ours["metadata"]["name"] = marked(manifest["metadata"]["name"], mark)
    if manifest["kind"] in BINDINGS:
        ours["spec"]["policyName"] = marked(manifest["spec"]["policyName"], mark)
        ours["spec"]["matchResources"] = {"namespaceSelector": {"matchLabels": {label: mark}}}
    return ours


def marked(name: str, mark: str) -> str:
    """Return the name that a shipped manifest has in a test."""
    return f"{name}-{mark}"


def path_of(manifest: Manifest) -> str:
    """Return where a manifest that belongs to no namespace is on an API server."""
    return f"/apis/{manifest['apiVersion']}/{PLURALS[manifest['kind']]}/{manifest['metadata']['name']}"
