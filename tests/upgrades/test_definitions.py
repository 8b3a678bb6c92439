"""Resource definitions of an older version, upgraded under what is stored: it is read, ends, and is deleted as before.

The older ones are today's without a field that came since, of the spec and of the status, and without a limit.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from kubernaut.local.stack import INSTALL_COMMAND, StackOptions
from runtime.kinds import WORKFLOWS as WORKFLOW_OBJECTS
from schemas.crds import execution_crd, workflow_crd
from tests.doctor.patient import ROOT, Patient
from tests.e2e.system import a_world
from tests.e2e.world import NAMESPACE, ten_steps, until
from tests.e2e.world import a_step as a_small_step
from tests.e2e.world import a_workflow as a_small_workflow
from tests.eventually import eventually
from tests.parts import address_of
from tests.schemas.api import CRDS, WORKFLOWS, Answer, Api, serving
from tests.schemas.builders import a_full_workflow, a_step, a_workflow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.world import World

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]
NAME: Final = "workflowexecutions.workflowexecution.kubernaut.io"
CURRENT: Final = ROOT / "deploy" / "crds"
TOO_MANY: Final = 20
"""More steps at once than today's definitions let through."""
SECONDS: Final = 60.0


@dataclass(frozen=True)
class Cluster:
    """A server of a test's own: definitions are for all of a cluster."""

    api: Api
    kubeconfig: str
    older: Path
    """Definitions of an older version."""

    async def apply(self, definitions: Path) -> None:
        """Upgrade them, or go back, as administrators do; return once the server goes by them."""
        self.api.kubectl("apply", "--server-side", "-f", str(definitions))
        await eventually(lambda: self._goes_by(newer=definitions == CURRENT), seconds=SECONDS, what="they are in force")

    def create(self, name: str, *, dry: bool = False, **strategy: Any) -> Answer:
        """Create a workflow with a strategy, and a field that only today's definitions know."""
        body = a_workflow(name, [a_step(1, description="newer")])
        body["spec"]["executionStrategy"] = strategy
        return self.api.call("POST", f"{WORKFLOWS}{'?dryRun=All' if dry else ''}", body)

    def read(self, name: str) -> dict[str, Any]:
        """Return a workflow as it is served."""
        found: dict[str, Any] = made(self.api.call("GET", f"{WORKFLOWS}/{name}"))
        return found

    def write_status(self, name: str, **fields: Any) -> Answer:
        """Write the status as the bridge does."""
        return self.api.call("PUT", f"{WORKFLOWS}/{name}/status", self.read(name) | {"status": fields})

    def _goes_by(self, *, newer: bool) -> bool:
        try:
            tried = self.create("probe", dry=True)
        except json.JSONDecodeError:  # what nobody serves yet is answered in words
            return False
        return tried.code == 201 and ("description" in first_step(tried.object)) is newer


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """It holds nothing yet."""
    older = tmp_path / "older.json"
    older.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": older_definitions()}))
    with (
        address_of("kubernetes", containers=False, folder=tmp_path / "kubernetes") as kubeconfig,
        serving(kubeconfig) as api,
    ):
        api.make_namespace("definitions")
        yield Cluster(api, kubeconfig, older)


def older_definitions() -> list[dict[str, Any]]:
    """Return both."""
    workflows = copy.deepcopy(workflow_crd())
    schema = workflows["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    spec = schema["spec"]["properties"]
    del spec["workflowDefinition"]["properties"]["steps"]["items"]["properties"]["description"]
    del spec["executionStrategy"]["properties"]["parallelismLimit"]["maximum"]
    del schema["status"]["properties"]["rollbackReason"]
    return [workflows, execution_crd()]


def made(answer: Answer) -> Any:
    """Return the object of an answer that is no refusal."""
    assert answer.message == ""
    return answer.object


def first_step(body: dict[str, Any]) -> dict[str, Any]:
    """Return the first step of a workflow."""
    step: dict[str, Any] = body["spec"]["workflowDefinition"]["steps"][0]
    return step


async def test_an_upgrade_of_the_definitions_leaves_every_object_as_it_was(cluster: Cluster) -> None:
    """Also one that today's would not let in: its status is written, it is steered and deleted, but not made anew."""
    await cluster.apply(cluster.older)
    made(cluster.api.call("POST", WORKFLOWS, a_full_workflow("full")))
    made(cluster.create("invalid", parallelismLimit=TOO_MANY))
    for name in ("full", "invalid"):
        made(cluster.write_status(name, phase="executing", sequence=1, rollbackReason="newer"))
    before = {name: cluster.read(name) for name in ("full", "invalid")}

    await cluster.apply(CURRENT)

    assert before == {name: cluster.read(name) for name in ("full", "invalid")}
    assert "description" not in first_step(before["full"])
    assert "rollbackReason" not in before["full"]["status"]
    for name in ("full", "invalid"):
        written = made(cluster.write_status(name, phase="executing", sequence=2, rollbackReason="newer"))
        assert {"phase": "executing", "sequence": 2, "rollbackReason": "newer"} == written["status"]
        steered = made(cluster.api.patch(f"{WORKFLOWS}/{name}", {"spec": {"control": {"paused": True}}}))
        assert before[name]["spec"]["workflowDefinition"] == steered["spec"]["workflowDefinition"]
    refused = cluster.create("another", parallelismLimit=TOO_MANY)
    assert (422, True) == (refused.code, "parallelismLimit" in refused.message), refused.message
    made(cluster.api.call("DELETE", f"{WORKFLOWS}/invalid"))
    assert 404 == cluster.api.call("GET", f"{WORKFLOWS}/invalid").code
    assert ["v1"] == made(cluster.api.call("GET", f"{CRDS}/{NAME}"))["status"]["storedVersions"]


async def test_older_definitions_once_more_hide_what_is_new_and_nothing_else(cluster: Cluster) -> None:
    """What nobody wrote meanwhile is whole after the next upgrade; all else of it was there all the time."""
    await cluster.apply(cluster.older)
    await cluster.apply(CURRENT)
    made(cluster.api.call("POST", WORKFLOWS, a_full_workflow("full")))
    made(cluster.write_status("full", phase="executing", sequence=1, rollbackReason="newer", failureReason="both"))
    whole = cluster.read("full")

    await cluster.apply(cluster.older)
    back = cluster.read("full")
    await cluster.apply(CURRENT)

    without = copy.deepcopy(whole)
    assert "words" == first_step(without).pop("description")
    assert "newer" == without["status"].pop("rollbackReason")
    assert without == back
    assert whole == cluster.read("full")


async def test_runs_go_on_through_an_upgrade_of_the_definitions(cluster: Cluster, tmp_path: Path) -> None:
    """The doctor names what is old, what it says to type mends it under the services, and each run comes to its end."""
    await cluster.apply(cluster.older)
    options = StackOptions(
        name="definitions",
        home=tmp_path / "home",
        kubeconfig=Path(cluster.kubeconfig),
        install_command=(*INSTALL_COMMAND, "--only", "streams", "--only", "migrations"),
    )
    async with a_world(options) as world:
        slow = {"all-steps": "take:1s"}
        await world.apply(
            a_small_workflow("under-way", ten_steps(), simulate=slow),
            a_small_workflow("paused", ten_steps(), control={"paused": True}),
            a_small_workflow("invalid", [a_small_step(1)], executionStrategy={"parallelismLimit": TOO_MANY}),
        )
        await until(lambda: begun(world), "one run is under way and one is paused", 2 * SECONDS)

        patient = Patient(KUBECONFIG=cluster.kubeconfig)
        found = await patient.wrong("definition.current")
        await patient.type(found.command)
        await patient.well("definition.current")
        await world.cluster.patch(WORKFLOW_OBJECTS, NAMESPACE, "paused", {"spec": {"control": {"paused": False}}})
        ends = await world.all_end(["under-way", "paused", "invalid"], 4 * SECONDS)

        assert (NAME, True) == (found.about, "description" in found.seen), found
        assert {"under-way": "completed", "paused": "completed", "invalid": "failed"} == {
            name: end["phase"] for name, end in ends.items()
        }
        assert "parallelismLimit" in json.dumps(ends["invalid"])
        await world.audit_is_complete()
        assert 0 == await world.dead_letters()


async def begun(world: World) -> bool:
    """Tell whether the runs have come to where they are to be met."""
    statuses = await world.statuses()
    paused = {each["type"]: each["status"] for each in statuses.get("paused", {}).get("conditions", ())}
    return statuses.get("under-way", {}).get("currentStep", 0) > 1 and paused.get("Paused") == "True"
