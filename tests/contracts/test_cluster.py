"""The contract of the port `Cluster`: the fake and the real API server behave alike."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import pytest_asyncio

from runtime.errors import AlreadyExistsError, ConflictError, GoneError, NotFoundError, RefusedError
from runtime.kinds import ACCESS_REVIEWS, EVENTS, EXECUTIONS, WORKFLOWS
from runtime.ports import Resource
from tests.contracts.cluster_worlds import FakeWorld, RealWorld, World
from tests.watcher.builders import a_workflow, an_execution, owned_by

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from runtime.ports import Object

HOLD = "kubernaut.io/hold"
A_STATUS: dict[str, Any] = {"phase": "planning", "sequence": 1}


@pytest_asyncio.fixture(params=["fake", pytest.param("real", marks=pytest.mark.real)])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """The fake, then the real one."""
    if request.param == "fake":
        yield FakeWorld()
    else:
        async with RealWorld(request.getfixturevalue("kubeconfig")) as real:
            yield real


async def made(world: World, name: str = "w", **metadata: Any) -> Object:
    """A workflow that exists."""
    return await world.cluster.create(WORKFLOWS, world.namespace, a_workflow(name, world.namespace, **metadata))


async def gone(world: World, resource: Resource, name: str) -> bool:
    """Whether an object goes within two minutes; the real garbage collector looks for new kinds each half a minute."""
    for _ in range(1200):
        try:
            await world.cluster.get(resource, world.namespace, name)
        except NotFoundError:
            return True
        await asyncio.sleep(0.1)
    return False


async def going(world: World, resource: Resource, name: str) -> bool:
    """Whether an object is being deleted by then: the real garbage collector takes its objects in no order."""
    for _ in range(1200):
        body = await world.cluster.get(resource, world.namespace, name)
        if "deletionTimestamp" in body["metadata"]:
            return True
        await asyncio.sleep(0.1)
    return False


async def test_create_gives_what_the_server_owns_and_takes_no_status(world: World) -> None:
    """A created object has a uid, a version and generation 1; a status in it is dropped."""
    body = a_workflow("w", world.namespace) | {"status": {"phase": "completed"}}

    created = await world.cluster.create(WORKFLOWS, world.namespace, body)

    assert created["metadata"]["uid"]
    assert int(created["metadata"]["resourceVersion"]) > 0
    assert created["metadata"]["generation"] == 1
    assert "status" not in created
    assert created == await world.cluster.get(WORKFLOWS, world.namespace, "w")


async def test_a_name_is_given_once(world: World) -> None:
    """Creating under a name that is taken is AlreadyExistsError, whoever it belongs to."""
    await made(world)

    with pytest.raises(AlreadyExistsError):
        await made(world)


async def test_the_server_tells_its_version(world: World) -> None:
    """A server that answers says which it is."""
    assert (await world.cluster.version())["gitVersion"].startswith("v1.")


async def test_a_review_says_whether_an_account_may(world: World) -> None:
    """A Role and its binding allow what they name, for that account, that object and that namespace, and no more."""
    rbac, namespace = "rbac.authorization.k8s.io", world.namespace
    rule = {"verbs": ["patch"], "apiGroups": ["apps"], "resources": ["deployments/scale"], "resourceNames": ["web"]}
    role = {"metadata": {"name": "scaler", "namespace": namespace}, "rules": [rule]}
    binding = {
        "metadata": {"name": "scaler", "namespace": namespace},
        "subjects": [{"kind": "ServiceAccount", "name": "scale-deployment-sa", "namespace": namespace}],
        "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "scaler"},
    }
    await world.cluster.create(Resource(rbac, "v1", "roles"), namespace, role)
    await world.cluster.create(Resource(rbac, "v1", "rolebindings"), namespace, binding)

    async def may(account: str = "scale-deployment-sa", **attributes: str) -> bool:
        what = {"verb": "patch", "group": "apps", "resource": "deployments", "subresource": "scale"}
        asked = what | {"namespace": namespace, "name": "web"} | attributes
        user = f"system:serviceaccount:{namespace}:{account}"
        body = {"spec": {"user": user, "groups": ["system:serviceaccounts"], "resourceAttributes": asked}}
        answer = await world.cluster.create(ACCESS_REVIEWS, "", body)
        return bool(answer["status"]["allowed"])

    async with asyncio.timeout(60):
        while True:  # the authorizer's cache is a moment behind
            if await may():
                break
            await asyncio.sleep(0.05)
    assert not await may("another-sa")
    assert not await may(name="api")
    assert not await may(namespace="elsewhere")
    assert not await may(verb="delete")
    assert not await may(subresource="status")


async def test_a_missing_namespace_takes_nothing(world: World) -> None:
    """Creating in a namespace that does not exist is NotFoundError."""
    with pytest.raises(NotFoundError, match="missing"):
        await world.cluster.create(WORKFLOWS, "missing", a_workflow("w", "missing"))


@pytest.mark.parametrize("verb", ["get", "patch", "delete", "replace_status"])
async def test_an_absent_object_is_not_found(world: World, verb: str) -> None:
    """Each verb tells by NotFoundError that there is no such object."""
    body = a_workflow("no", world.namespace, resourceVersion="1", uid="u")
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "get": lambda: world.cluster.get(WORKFLOWS, world.namespace, "no"),
        "patch": lambda: world.cluster.patch(WORKFLOWS, world.namespace, "no", {"metadata": {"labels": {"a": "b"}}}),
        "delete": lambda: world.cluster.delete(WORKFLOWS, world.namespace, "no", uid="u"),
        "replace_status": lambda: world.cluster.replace_status(WORKFLOWS, world.namespace, "no", body),
    }

    with pytest.raises(NotFoundError):
        await calls[verb]()


async def test_replacing_the_status_changes_nothing_else(world: World) -> None:
    """The status is replaced; another spec in the body is ignored, the generation stays."""
    body = await made(world)
    body["status"] = {"phase": "planning", "sequence": 1}
    body["spec"]["control"] = {"paused": True}

    after = await world.cluster.replace_status(WORKFLOWS, world.namespace, "w", body)

    assert after["status"] == {"phase": "planning", "sequence": 1}
    assert "control" not in after["spec"]
    assert after["metadata"]["generation"] == 1
    assert int(after["metadata"]["resourceVersion"]) > int(body["metadata"]["resourceVersion"])


@pytest.mark.parametrize(
    ("metadata", "error"),
    [
        pytest.param({"resourceVersion": ""}, RefusedError, id="without a version it is refused"),
        pytest.param({"resourceVersion": "1"}, ConflictError, id="an old version conflicts"),
        pytest.param({"uid": "another"}, ConflictError, id="the uid of another object conflicts"),
    ],
)
async def test_a_status_is_replaced_only_on_the_version_that_was_read(
    world: World, metadata: dict[str, str], error: type[Exception]
) -> None:
    """A status that was made from another version or object never gets in."""
    body = await made(world)
    body["status"] = {"phase": "planning", "sequence": 1}
    body["metadata"] |= metadata

    with pytest.raises(error):
        await world.cluster.replace_status(WORKFLOWS, world.namespace, "w", body)


async def test_a_merge_patch_changes_what_it_names(world: World) -> None:
    """Labels are merged, null removes, a status in the patch is ignored, a changed spec raises the generation."""
    await made(world, labels={"a": "1", "b": "2"})
    patch = {
        "metadata": {"labels": {"a": None, "c": "3"}},
        "spec": {"control": {"paused": True}},
        "status": {"phase": "failed"},
    }

    after = await world.cluster.patch(WORKFLOWS, world.namespace, "w", patch)

    assert after["metadata"]["labels"] == {"b": "2", "c": "3"}
    assert after["spec"]["control"] == {"paused": True}
    assert after["metadata"]["generation"] == 2
    assert "status" not in after


async def test_a_patch_that_changes_nothing_makes_no_version(world: World) -> None:
    """Writing what is there leaves the resourceVersion as it was."""
    before = await made(world, labels={"a": "1"})

    after = await world.cluster.patch(WORKFLOWS, world.namespace, "w", {"metadata": {"labels": {"a": "1"}}})

    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


@pytest.mark.parametrize("guard", [{"resourceVersion": "1"}, {"uid": "another"}], ids=["old version", "other uid"])
async def test_a_patch_with_a_guard_that_does_not_hold_conflicts(world: World, guard: dict[str, str]) -> None:
    """A merge patch that names a version or uid is refused when the object has another."""
    await made(world)

    with pytest.raises(ConflictError):
        await world.cluster.patch(WORKFLOWS, world.namespace, "w", {"metadata": {**guard, "labels": {"a": "b"}}})


async def test_a_json_patch_tests_before_it_changes(world: World) -> None:
    """A JSON patch whose test fails changes nothing and is refused as invalid."""
    await made(world, finalizers=[HOLD])
    remove = {"op": "remove", "path": "/metadata/finalizers/0"}
    wrong = [{"op": "test", "path": "/metadata/finalizers/0", "value": "kubernaut.io/other"}, remove]
    right = [{"op": "test", "path": "/metadata/finalizers/0", "value": HOLD}, remove]

    with pytest.raises(RefusedError) as refused:
        await world.cluster.patch(WORKFLOWS, world.namespace, "w", wrong, kind="json")
    after = await world.cluster.patch(WORKFLOWS, world.namespace, "w", right, kind="json")

    assert refused.value.reason == "invalid"
    assert not after["metadata"].get("finalizers")


async def test_a_finalizer_holds_a_deleted_object(world: World) -> None:
    """It stays with a deletion timestamp, and goes with the last finalizer."""
    body = await made(world, finalizers=[HOLD])
    await world.cluster.delete(WORKFLOWS, world.namespace, "w", uid=body["metadata"]["uid"])

    held = await world.cluster.get(WORKFLOWS, world.namespace, "w")
    await world.cluster.patch(WORKFLOWS, world.namespace, "w", {"metadata": {"finalizers": None}})

    assert held["metadata"]["deletionTimestamp"]
    assert await gone(world, WORKFLOWS, "w")


async def test_delete_takes_the_object_that_was_meant(world: World) -> None:
    """Another object under the same name is a conflict and stays."""
    body = await made(world)

    with pytest.raises(ConflictError):
        await world.cluster.delete(WORKFLOWS, world.namespace, "w", uid="another")
    await world.cluster.delete(WORKFLOWS, world.namespace, "w", uid=body["metadata"]["uid"])

    assert await gone(world, WORKFLOWS, "w")


async def test_what_an_object_owns_goes_after_it(world: World) -> None:
    """An execution that belongs to a deleted workflow is collected."""
    owner = await made(world)
    uid = owner["metadata"]["uid"]
    child = an_execution("e", world.namespace, workflow_uid=uid, **owned_by(owner))
    await world.cluster.create(EXECUTIONS, world.namespace, child)

    await world.cluster.delete(WORKFLOWS, world.namespace, "w", uid=uid)

    assert await gone(world, EXECUTIONS, "e")


async def test_what_is_made_for_an_owner_that_is_gone_goes_too(world: World) -> None:
    """A create that was on its way when its owner was deleted leaves nothing behind, but what a finalizer holds."""
    owner = await made(world)
    await world.cluster.delete(WORKFLOWS, world.namespace, "w", uid=owner["metadata"]["uid"])
    for name, held in (("late", []), ("held", [HOLD])):
        body = an_execution(name, world.namespace, finalizers=held, **owned_by(owner))
        await world.cluster.create(EXECUTIONS, world.namespace, body)

    world.collect()

    assert await gone(world, EXECUTIONS, "late")
    assert await going(world, EXECUTIONS, "held")
    await world.cluster.patch(EXECUTIONS, world.namespace, "held", {"metadata": {"finalizers": None}})


async def test_versions_rise_over_all_resources(world: World) -> None:
    """Whatever is written later has the larger version, also of another resource: one floor fits both."""
    workflow = await made(world)
    body = an_execution("e", world.namespace, workflow_uid=workflow["metadata"]["uid"])
    execution = await world.cluster.create(EXECUTIONS, world.namespace, body)
    again = await world.cluster.patch(WORKFLOWS, world.namespace, "w", {"metadata": {"labels": {"a": "b"}}})

    versions = [int(each["metadata"]["resourceVersion"]) for each in (workflow, execution, again)]
    assert versions == sorted(set(versions))


async def test_of_two_statuses_from_one_version_the_first_gets_in(world: World) -> None:
    """The second has not seen the first; and what shows nothing new makes no version."""
    body = await made(world)
    first = await world.cluster.replace_status(WORKFLOWS, world.namespace, "w", body | {"status": A_STATUS})

    with pytest.raises(ConflictError):
        await world.cluster.replace_status(
            WORKFLOWS, world.namespace, "w", body | {"status": A_STATUS | {"sequence": 2}}
        )
    same = await world.cluster.replace_status(WORKFLOWS, world.namespace, "w", first)

    assert first["metadata"]["resourceVersion"] == same["metadata"]["resourceVersion"]


async def test_a_status_changes_no_metadata(world: World) -> None:
    """Labels and finalizers that come with a status are left out."""
    body = await made(world)
    body["status"] = A_STATUS
    body["metadata"] |= {"labels": {"a": "b"}, "finalizers": [HOLD]}

    after = await world.cluster.replace_status(WORKFLOWS, world.namespace, "w", body)

    assert ("labels" in after["metadata"], "finalizers" in after["metadata"]) == (False, False)


async def test_what_is_being_deleted_lives_on_under_its_name(world: World) -> None:
    """It can be shown a status and deleted again; its name is taken, and nobody new may hold it."""
    body = await made(world, finalizers=[HOLD])
    uid = body["metadata"]["uid"]
    await world.cluster.delete(WORKFLOWS, world.namespace, "w", uid=uid)
    held = await world.cluster.get(WORKFLOWS, world.namespace, "w")
    await world.cluster.delete(WORKFLOWS, world.namespace, "w", uid=uid)
    shown = await world.cluster.replace_status(WORKFLOWS, world.namespace, "w", held | {"status": A_STATUS})

    with pytest.raises(AlreadyExistsError):
        await made(world)
    more = {"metadata": {"finalizers": [HOLD, "kubernaut.io/other"]}}
    with pytest.raises(RefusedError):
        await world.cluster.patch(WORKFLOWS, world.namespace, "w", more)

    assert held["metadata"]["generation"] == 2
    assert int(shown["metadata"]["resourceVersion"]) > int(held["metadata"]["resourceVersion"])
    await world.cluster.patch(WORKFLOWS, world.namespace, "w", {"metadata": {"finalizers": None}})


async def test_a_name_that_is_free_again_is_given_to_another_object(world: World) -> None:
    """The new one has another uid and no status; whoever means the old one by its uid does not hit it (F17)."""
    old = await made(world)
    await world.cluster.replace_status(WORKFLOWS, world.namespace, "w", old | {"status": A_STATUS})
    uid = old["metadata"]["uid"]
    await world.cluster.delete(WORKFLOWS, world.namespace, "w", uid=uid)

    new = await made(world)

    with pytest.raises(ConflictError):
        await world.cluster.delete(WORKFLOWS, world.namespace, "w", uid=uid)
    with pytest.raises(ConflictError):
        await world.cluster.patch(WORKFLOWS, world.namespace, "w", {"metadata": {"uid": uid, "labels": {"a": "b"}}})
    with pytest.raises(ConflictError):
        await world.cluster.replace_status(
            WORKFLOWS, world.namespace, "w", old | {"status": A_STATUS | {"sequence": 2}}
        )
    assert (new["metadata"]["uid"] != uid, "status" in new) == (True, False)
    assert new == await world.cluster.get(WORKFLOWS, world.namespace, "w")


async def test_events_of_the_core_group_are_made(world: World) -> None:
    """A resource without a group lies under /api/v1."""
    body = {
        "metadata": {"name": "w.1", "namespace": world.namespace},
        "involvedObject": {"kind": "WorkflowExecution", "name": "w", "namespace": world.namespace},
        "reason": "Started",
        "message": "it started",
        "type": "Normal",
    }

    created = await world.cluster.create(EVENTS, world.namespace, body)

    assert created["message"] == "it started"


async def test_a_list_comes_in_pages_of_one_version(world: World) -> None:
    """All objects come, each once, by name; what is made between two pages is not among them."""
    for name in "abcde":
        await made(world, name)

    first = await world.cluster.list(WORKFLOWS, world.namespace, limit=2)
    await made(world, "later")
    second = await world.cluster.list(WORKFLOWS, world.namespace, limit=2, next_page=first.next_page)
    third = await world.cluster.list(WORKFLOWS, world.namespace, limit=2, next_page=second.next_page)

    items = [msgspec.json.decode(raw) for page in (first, second, third) for raw in page.items]
    assert [item["metadata"]["name"] for item in items] == list("abcde")
    assert {page.resource_version for page in (first, second, third)} == {first.resource_version}
    assert third.next_page == ""
    assert items[0]["kind"] == "WorkflowExecution"


async def told(world: World, namespace: str, start: str, count: int) -> list[tuple[str, Object]]:
    """The next events of a watch but for bookmarks."""
    seen: list[tuple[str, Object]] = []
    async with (
        asyncio.timeout(30),
        aclosing(world.cluster.watch(WORKFLOWS, namespace, resource_version=start)) as events,
    ):
        async for event in events:
            if event.type != "BOOKMARK":
                seen.append((event.type, msgspec.json.decode(event.object)["metadata"]))
            if len(seen) == count:
                break
    return seen


async def test_a_watch_tells_every_change_after_its_version(world: World) -> None:
    """Added, modified, deleted, in order, with versions that rise; the deletion has a version of its own."""
    await made(world, "before")
    start = (await world.cluster.list(WORKFLOWS, world.namespace)).resource_version
    body = await made(world)
    await world.cluster.patch(WORKFLOWS, world.namespace, "w", {"metadata": {"labels": {"a": "b"}}})
    await world.cluster.delete(WORKFLOWS, world.namespace, "w", uid=body["metadata"]["uid"])

    seen = await told(world, world.namespace, start, 3)

    assert [(what, meta["name"]) for what, meta in seen] == [("ADDED", "w"), ("MODIFIED", "w"), ("DELETED", "w")]
    versions = [int(meta["resourceVersion"]) for _, meta in seen]
    assert versions == sorted(set(versions))
    assert versions[0] > int(start)


async def test_a_watch_tells_how_an_object_leaves(world: World) -> None:
    """First that it is to go, then that it is gone, each with a version of its own; later watches begin where asked."""
    body = await made(world, finalizers=[HOLD])
    start = body["metadata"]["resourceVersion"]
    await world.cluster.delete(WORKFLOWS, world.namespace, "w", uid=body["metadata"]["uid"])
    await world.cluster.patch(WORKFLOWS, world.namespace, "w", {"metadata": {"finalizers": None}})

    leaves, gone = await told(world, world.namespace, start, 2)
    [again] = await told(world, world.namespace, leaves[1]["resourceVersion"], 1)

    assert ("MODIFIED", "DELETED") == (leaves[0], gone[0])
    assert "deletionTimestamp" in leaves[1]
    assert int(start) < int(leaves[1]["resourceVersion"]) < int(gone[1]["resourceVersion"])
    assert gone == again


async def test_a_watch_tells_of_its_own_namespace_only(world: World) -> None:
    """What happens in another namespace before is not told."""
    start = (await world.cluster.list(WORKFLOWS, "default")).resource_version
    await made(world)
    here = await world.cluster.create(WORKFLOWS, "default", a_workflow(world.namespace, "default"))

    seen = await told(world, "default", start, 1)

    await world.cluster.delete(WORKFLOWS, "default", world.namespace, uid=here["metadata"]["uid"])
    assert [meta["uid"] for _, meta in seen] == [here["metadata"]["uid"]]


async def test_a_version_that_is_forgotten_is_gone(world: World) -> None:
    """A watch from before the server's memory is GoneError, not silence."""
    await made(world)

    with pytest.raises(GoneError):
        await told(world, world.namespace, world.forget(), 1)
