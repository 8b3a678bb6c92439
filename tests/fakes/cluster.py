"""An in-memory Kubernetes API behind the `Cluster` port, held to the real one by tests/contracts/test_cluster.py.

It must never be kinder than the real API: conflicts, finalizers, uids, compaction and lost answers are the point of it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from runtime.errors import AlreadyExistsError, ConflictError, GoneError, NotFoundError, RefusedError
from runtime.kinds import ACCESS_REVIEWS
from runtime.ports import Object, Page, Patch, Resource, WatchEvent
from tests.fakes.cluster_objects import Change, Fault, Key, Verb, at, copy_of, json_patch, merge_patch, same, without
from tests.fakes.cluster_rights import answer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence


class FakeCluster:
    """Objects, versions, watches. Methods without `async` are for the test: what users, executors and faults do."""

    def __init__(self, *, now: str = "2026-01-01T00:00:00Z") -> None:
        """`now`: the creation and deletion time of every object."""
        self.now = now
        self.newest = 1
        self.objects: dict[Key, Object] = {}
        self.calls: list[tuple[Verb, str, str, str]] = []
        """Every call through the port: verb, plural, namespace, name."""
        self.missing_namespaces: set[str] = set()
        self.collects_at_once = True
        """What is owned by an object goes with it; else only when `collect` is called, as the real collector lags."""
        self._faults: list[Fault] = []
        self._history: list[Change] = []
        self._compacted = 0
        self._pages: dict[str, tuple[str, list[msgspec.Raw]]] = {}
        self._changed = asyncio.Event()
        self._ended = 0
        self._uids = 0
        self._page = 0

    # For tests.

    def fail(self, verb: Verb, error: Exception, *, times: int = 1, after: bool = False) -> None:
        """Answer the next calls of `verb` with `error`; with `after`, the effect takes place and its answer is lost."""
        self._faults.extend([Fault(verb, error, after)] * times)

    def put(self, resource: Resource, body: Object) -> Object:
        """Create, or replace spec, status and metadata but for what the server owns, as several writers would."""
        meta = body["metadata"]
        key = (resource.plural, meta["namespace"], meta["name"])
        if key not in self.objects:
            made = self._store(key, self._fresh(body, status="status" in body))
            self._record("ADDED", key, made)
            return copy_of(made)
        kept = ("uid", "creationTimestamp", "generation", "resourceVersion", "deletionTimestamp")
        before = self.objects[key]
        after = copy_of(body)
        after["metadata"] |= {name: before["metadata"][name] for name in kept if name in before["metadata"]}
        return self._update(key, after)

    def set_status(self, resource: Resource, namespace: str, name: str, **fields: Any) -> Object:
        """Merge fields into the status, as an executor does."""
        key = (resource.plural, namespace, name)
        after = copy_of(self._found(key))
        after["status"] = {**after.get("status", {}), **fields}
        return self._update(key, after)

    def remove(self, resource: Resource, namespace: str, name: str) -> None:
        """Delete, as a person does: finalizers hold it, what it owns goes with it."""
        self._delete((resource.plural, namespace, name), uid=None)

    def of(self, resource: Resource) -> Sequence[Object]:
        """All objects of a resource, by namespace and name."""
        return copy_of(self._in(resource, None))

    def collect(self) -> None:
        """Delete what has owners of which none is there, as the garbage collector does in its own time."""
        alive = {body["metadata"]["uid"] for body in self.objects.values()}
        for key, body in list(self.objects.items()):
            owners = [owner.get("uid") for owner in at(body, "metadata", "ownerReferences") or ()]
            if owners and alive.isdisjoint(owners) and key in self.objects:
                self._delete(key, uid=None)

    def compact(self) -> None:
        """Forget the history, as etcd does: watches from before, and pages of lists, are answered with 410."""
        self._compacted = self.newest
        self._pages.clear()

    def skip_versions(self, count: int) -> None:
        """Other objects of the cluster change: the version rises, nobody here sees an event."""
        self.newest += count

    def send_bookmark(self, resource: Resource) -> None:
        """Tell every watch of a resource how far the history is."""
        body = {"metadata": {"resourceVersion": str(self.newest)}}
        event = WatchEvent(type="BOOKMARK", object=msgspec.Raw(msgspec.json.encode(body)))
        self._append(Change(self.newest, resource.plural, "", event))

    def end_watches(self) -> None:
        """End every running watch in order, as the server does after its time limit."""
        self._ended += 1
        self._wake()

    # The port.

    async def list(self, resource: Resource, namespace: str | None, *, limit: int = 500, next_page: str = "") -> Page:
        """See `Cluster.list`."""
        self._enter("list", resource, namespace or "", "")
        if next_page:
            if next_page not in self._pages:
                raise GoneError(f"the token {next_page} of a page is too old; list anew")
            version, items = self._pages[next_page]
        else:
            version = str(self.newest)
            items = [msgspec.Raw(msgspec.json.encode(body)) for body in self._in(resource, namespace)]
        rest, token = items[limit:], ""
        if rest:
            self._page += 1
            token = f"page-{self._page}"
            self._pages[token] = (version, rest)
        self._strike("list", after=True)
        return Page(resource_version=version, items=tuple(items[:limit]), next_page=token)

    async def watch(
        self, resource: Resource, namespace: str | None, *, resource_version: str
    ) -> AsyncGenerator[WatchEvent, None]:
        """See `Cluster.watch`."""
        self._enter("watch", resource, namespace or "", "")
        start, ended = int(resource_version), self._ended
        if start < self._compacted:
            raise GoneError(f"too old resource version: {start} ({self._compacted})")
        position = 0
        while ended == self._ended:
            while position < len(self._history):
                change = self._history[position]
                position += 1
                if change.concerns(resource, namespace, start):
                    yield change.event
                self._strike("watch", after=True)
            await self._changed.wait()
            self._strike("watch", after=True)

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """See `Cluster.get`."""
        self._enter("get", resource, namespace, name)
        return copy_of(self._found((resource.plural, namespace, name)))

    async def version(self) -> Object:
        """See `Cluster.version`."""
        self._enter("version", Resource("", "", ""), "", "")
        return {"major": "1", "minor": "36", "gitVersion": "v1.36.3-fake"}

    async def create(self, resource: Resource, namespace: str, body: Object) -> Object:
        """See `Cluster.create`."""
        name = body.get("metadata", {}).get("name", "")
        self._enter("create", resource, namespace, name)
        key = (resource.plural, namespace, name)
        if resource == ACCESS_REVIEWS:
            return answer(body, self.objects)
        if not name:
            raise RefusedError(f"{resource.plural}: metadata.name is required", reason="invalid")
        if namespace in self.missing_namespaces:
            raise NotFoundError(f'namespaces "{namespace}" not found')
        if key in self.objects:
            raise AlreadyExistsError(f'{resource.plural} "{name}" already exists')
        fresh = self._fresh(body, status=not resource.group)
        fresh["metadata"]["namespace"] = namespace
        made = self._store(key, fresh)
        self._record("ADDED", key, made)
        self._strike("create", after=True)
        return copy_of(made)

    async def replace_status(self, resource: Resource, namespace: str, name: str, body: Object) -> Object:
        """See `Cluster.replace_status`."""
        self._enter("replace_status", resource, namespace, name)
        key = (resource.plural, namespace, name)
        before = self._found(key)
        if not at(body, "metadata", "resourceVersion"):
            raise RefusedError("metadata.resourceVersion: must be specified for an update", reason="invalid")
        self._preconditions(before, body)
        after = without(before, "status")
        if "status" in body:
            after["status"] = copy_of(body["status"])
        result = self._update(key, after)
        self._strike("replace_status", after=True)
        return result

    async def patch(self, resource: Resource, namespace: str, name: str, body: Any, *, kind: Patch = "merge") -> Object:
        """See `Cluster.patch`."""
        self._enter("patch", resource, namespace, name)
        key = (resource.plural, namespace, name)
        before = self._found(key)
        after: Object = json_patch(before, body) if kind == "json" else merge_patch(copy_of(before), body)
        self._preconditions(before, after)
        if resource.group:
            after = without(after, "status")
            if "status" in before:
                after["status"] = copy_of(before["status"])
        result = self._update(key, after)
        self._strike("patch", after=True)
        return result

    async def delete(self, resource: Resource, namespace: str, name: str, *, uid: str) -> None:
        """See `Cluster.delete`."""
        self._enter("delete", resource, namespace, name)
        self._delete((resource.plural, namespace, name), uid=uid)
        self._strike("delete", after=True)

    # Inside.

    def _enter(self, verb: Verb, resource: Resource, namespace: str, name: str) -> None:
        self.calls.append((verb, resource.plural, namespace, name))
        self._strike(verb, after=False)

    def _strike(self, verb: Verb, *, after: bool) -> None:
        """Raise the first fault that waits for this verb, if its time is now."""
        fault = next((f for f in self._faults if f.verb == verb), None)
        if fault and fault.after == after:
            self._faults.remove(fault)
            raise fault.error

    def _in(self, resource: Resource, namespace: str | None) -> Sequence[Object]:
        wanted = sorted(key for key in self.objects if key[0] == resource.plural and namespace in {None, key[1]})
        return [self.objects[key] for key in wanted]

    def _found(self, key: Key) -> Object:
        if key not in self.objects:
            raise NotFoundError(f'{key[0]} "{key[2]}" not found')
        return self.objects[key]

    def _fresh(self, body: Object, *, status: bool) -> Object:
        made = copy_of(body) if status else without(body, "status")
        self._uids += 1
        made["metadata"] |= {"creationTimestamp": self.now, "generation": 1}
        made["metadata"].setdefault("uid", f"00000000-0000-4000-8000-{self._uids:012d}")
        return made

    def _preconditions(self, before: Object, after: Object) -> None:
        for field in ("uid", "resourceVersion"):
            wanted, found = at(after, "metadata", field), before["metadata"][field]
            if wanted not in {None, "", found}:
                raise ConflictError(f"Precondition failed: {field} {wanted} is not {found}")

    def _update(self, key: Key, after: Object) -> Object:
        before = self.objects[key]
        after["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"]
        if same(before, after):
            return copy_of(before)
        self._hold(before, after)
        if not same(without(before, "status", "metadata"), without(after, "status", "metadata")):
            after["metadata"]["generation"] = before["metadata"].get("generation", 1) + 1
        if at(after, "metadata", "deletionTimestamp") and not at(after, "metadata", "finalizers"):
            self._gone(key, after)
            return copy_of(after)
        stored = self._store(key, after)
        self._record("MODIFIED", key, stored)
        return copy_of(stored)

    def _hold(self, before: Object, after: Object) -> None:
        """Nobody new may hold what is being deleted."""
        more = set(at(after, "metadata", "finalizers") or ()) - set(at(before, "metadata", "finalizers") or ())
        if more and at(before, "metadata", "deletionTimestamp"):
            said = f"no new finalizers can be added if the object is being deleted, found new finalizers {sorted(more)}"
            raise RefusedError(f"metadata.finalizers: Forbidden: {said}", reason="invalid")

    def _delete(self, key: Key, *, uid: str | None) -> None:
        found = self._found(key)
        if uid is not None and found["metadata"]["uid"] != uid:
            raise ConflictError(f"Precondition failed: UID {uid} is not {found['metadata']['uid']}")
        if not at(found, "metadata", "finalizers"):
            self._gone(key, copy_of(found))
        elif not at(found, "metadata", "deletionTimestamp"):
            held = copy_of(found)
            held["metadata"] |= {"deletionTimestamp": self.now, "deletionGracePeriodSeconds": 0}
            held["metadata"]["generation"] = found["metadata"].get("generation", 1) + 1
            self._update(key, held)

    def _gone(self, key: Key, last: Object) -> None:
        self.newest += 1
        last["metadata"]["resourceVersion"] = str(self.newest)
        del self.objects[key]
        self._record("DELETED", key, last)
        if not self.collects_at_once:
            return
        uid = last["metadata"]["uid"]
        for other, body in list(self.objects.items()):
            if any(owner.get("uid") == uid for owner in at(body, "metadata", "ownerReferences") or ()):
                self._delete(other, uid=None)

    def _store(self, key: Key, body: Object) -> Object:
        self.newest += 1
        body["metadata"]["resourceVersion"] = str(self.newest)
        self.objects[key] = body
        return body

    def _record(self, what: Literal["ADDED", "MODIFIED", "DELETED"], key: Key, body: Object) -> None:
        event = WatchEvent(type=what, object=msgspec.Raw(msgspec.json.encode(body)))
        self._append(Change(self.newest, key[0], key[1], event))

    def _append(self, change: Change) -> None:
        self._history.append(change)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
