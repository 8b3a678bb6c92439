"""What people do to a workflow: control, approval, edits, deletions by hand. They know the rules of the CRD."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from runtime.kinds import EXECUTIONS, WORKFLOWS
from schemas.cloudevents import Event, traceparent
from schemas.messages import TYPE_OF, AlertFired, WorkflowRef, encode
from schemas.names import ANNOTATION_APPROVAL, ANNOTATION_APPROVER
from tests.simulation.workflows import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.ports import Object
    from tests.simulation.scenario import Fault
    from tests.simulation.world import World


def do(world: World, fault: Fault) -> None:
    """Do it, if the workflow is there."""
    found = next((one for one in world.cluster.of(WORKFLOWS) if one["metadata"]["name"] == fault.who), None)
    if found is not None:
        _DOES[fault.kind](world, found, fault)


def let_go_on(world: World) -> None:
    """Resume whatever is paused: a pause is the one thing that may hold a run for ever."""
    for found in world.cluster.of(WORKFLOWS):
        if (found["spec"].get("control") or {}).get("paused"):
            _control(world, found, paused=False)


def _control(world: World, found: Object, **changes: Any) -> None:
    found["spec"]["control"] = {**found["spec"].get("control", {}), **changes}
    world.cluster.put(WORKFLOWS, found)


def _edit(world: World, found: Object, fault: Fault) -> None:
    found["metadata"].setdefault("annotations", {})["example.com/note"] = fault.word
    world.cluster.put(WORKFLOWS, found)


def _approve(world: World, found: Object, fault: Fault) -> None:
    annotations = found["metadata"].setdefault("annotations", {})
    annotations |= {ANNOTATION_APPROVAL: fault.word, ANNOTATION_APPROVER: f"user-{fault.amount}"}
    world.cluster.put(WORKFLOWS, found)


def _pause(world: World, found: Object, fault: Fault) -> None:
    _control(world, found, paused=fault.word == "true")


def _cancel(world: World, found: Object, fault: Fault) -> None:
    if "cancel" not in found["spec"].get("control", {}):
        _control(world, found, cancel={"mode": fault.word, "reason": "enough"})


def _override(world: World, found: Object, fault: Fault) -> None:
    known = found["spec"].get("control", {}).get("overrides", [])
    new = {"stepNumber": fault.amount, "operation": fault.word, "reason": "so"}
    _control(world, found, overrides=[*known, new])


def _rollback(world: World, found: Object, _: Fault) -> None:
    if "rollback" not in found["spec"].get("control", {}):
        _control(world, found, rollback={"reason": "undo"})


def _delete_workflow(world: World, found: Object, _: Fault) -> None:
    world.cluster.remove(WORKFLOWS, NAMESPACE, found["metadata"]["name"])


def _apply_again(world: World, found: Object, _: Fault) -> None:
    """Delete a workflow, and apply it once more under its name as soon as that is free."""
    name = found["metadata"]["name"]
    if name in world.applying:
        return
    world.cluster.remove(WORKFLOWS, NAMESPACE, name)
    body = next(planned.body for planned in world.scenario.workflows if planned.name == name)
    world.apply_when_free(name, body)


def _delete_execution(world: World, found: Object, fault: Fault) -> None:
    uid = found["metadata"]["uid"]
    owned = [one for one in world.cluster.of(EXECUTIONS) if one["spec"]["workflowExecutionRef"]["uid"] == uid]
    if owned:
        world.cluster.remove(EXECUTIONS, NAMESPACE, owned[fault.amount % len(owned)]["metadata"]["name"])


def _alert(world: World, found: Object, fault: Fault) -> None:
    meta = found["metadata"]
    body = AlertFired(workflow=WorkflowRef(namespace=NAMESPACE, name=meta["name"], uid=meta["uid"]), alert=fault.word)
    identity = f"alert/{meta['uid']}/{fault.at}"
    event = Event(
        subject=f"kubernaut.signal.{meta['uid']}.alert",
        id=identity,
        type=TYPE_OF[AlertFired],
        source="/alerts",
        data=encode(body),
        correlation_id=meta["uid"],
        traceparent=traceparent(meta["uid"], identity),
    )
    if world.broker.up:
        world.broker.store(event, None, None)


_DOES: Final[dict[str, Callable[[World, Object, Fault], None]]] = {
    "edit": _edit,
    "approve": _approve,
    "pause_run": _pause,
    "cancel": _cancel,
    "override": _override,
    "rollback": _rollback,
    "delete_workflow": _delete_workflow,
    "apply_again": _apply_again,
    "delete_execution": _delete_execution,
    "alert": _alert,
}
