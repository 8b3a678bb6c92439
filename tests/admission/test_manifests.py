"""What is shipped in deploy/admission, without a server."""

from __future__ import annotations

import re

import msgspec
import pytest

from schemas import names
from schemas.workflow import WorkflowSpec
from tests.admission.manifests import BINDINGS, FOLDER, POLICIES, SHIPPED, Manifest, shipped

CREATOR = "creator.workflowexecution.kubernaut.io"


def of_kind(*kinds: str) -> list[Manifest]:
    """Return the manifests of some kinds."""
    return [manifest for manifest in shipped() if manifest["kind"] in kinds]


def test_every_policy_is_bound_once_and_denies() -> None:
    """In every namespace; who installs them may narrow that. The one that only fills in has nothing to deny."""
    bindings = [binding["spec"] for binding in of_kind(*BINDINGS)]
    actions = {binding["policyName"]: binding.get("validationActions") for binding in bindings}

    assert sorted(policy["metadata"]["name"] for policy in of_kind(*POLICIES)) == sorted(
        binding["policyName"] for binding in bindings
    )
    assert {CREATOR: None} == {name: what for name, what in actions.items() if what != ["Deny", "Audit"]}
    assert [] == [binding for binding in bindings if "matchResources" in binding]


def test_a_policy_that_fails_denies() -> None:
    """Said in each, although it is what the server does by default."""
    assert [] == [one["metadata"]["name"] for one in of_kind(*POLICIES) if one["spec"]["failurePolicy"] != "Fail"]


def test_every_refusal_has_a_sentence_and_a_reason() -> None:
    """A person reads it; without a message the server shows the expression."""
    rules = [rule for one in of_kind("ValidatingAdmissionPolicy") for rule in one["spec"]["validations"]]

    assert [] == [rule["expression"] for rule in rules if not (rule.get("message") and rule.get("reason"))]


@pytest.mark.parametrize("file", SHIPPED)
def test_what_the_policies_name_is_what_the_code_names(file: str) -> None:
    """A name that is spelt otherwise would be a rule about nothing."""
    text = (FOLDER / file).read_text("utf-8")
    known = {value for value in vars(names).values() if isinstance(value, str)}

    used = set(re.findall(r"'(workflowexecution\.kubernaut\.io/[a-z-]+)'", text))
    prefixed = {
        f"{names.WORKFLOW_GROUP}/{name}"
        for found in re.findall(r"\[(.*)\]\.map\(n", text)
        for name in re.findall("'([a-z-]+)'", found)
    }

    assert set() == (used | prefixed) - known


def test_every_part_of_a_spec_but_control_is_immutable() -> None:
    """A part that is added to the spec must be added to the policy, or said to be free."""
    (policy,) = [
        one
        for one in of_kind("ValidatingAdmissionPolicy")
        if one["metadata"]["name"].startswith("immutability.workflow")
    ]
    held = set(re.findall(r"object\.spec\.\??(\w+)", policy["spec"]["validations"][0]["expression"]))

    assert {field.encode_name for field in msgspec.structs.fields(WorkflowSpec)} - {"control"} == held
