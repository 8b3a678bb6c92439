"""What one loop watches: a resource, in one namespace or in all, of all objects or of a share of them. Pure data."""

from __future__ import annotations

import msgspec

from runtime.kinds import WORKFLOWS
from runtime.ports import Resource
from schemas import subjects
from watcher.objects import shard_of, token


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Two watchers have the same view when its resource, scope and shard are equal: then their floors mean the same."""

    resource: Resource
    namespace: str | None = None
    """None: the whole cluster."""
    share: int = 0
    """Which of `shares` parts of the objects, by the hash of their uid."""
    shares: int = 1

    @property
    def plural(self) -> str:
        """Plural of the resource."""
        return self.resource.plural

    @property
    def of_workflows(self) -> bool:
        """Whether it is about WorkflowExecutions, else KubernetesExecutions."""
        return self.resource == WORKFLOWS

    @property
    def scope(self) -> str:
        """Token of the namespace, `*` for all."""
        return token(self.namespace) if self.namespace else "*"

    @property
    def shard(self) -> str:
        """Which part of how many, such as `0/1`."""
        return f"{self.share}/{self.shares}"

    @property
    def name(self) -> str:
        """For people: logs, and the dependency in `/readyz?verbose`."""
        return f"kubernetes/{self.plural}" + (f" in {self.namespace}" if self.namespace else "")

    @property
    def freshness(self) -> str:
        """Name of the dependency that says whether what the watch tells is all that there is."""
        return f"{self.name}, fresh"

    @property
    def changes(self) -> str:
        """Subject filter of all changes that this view may have published."""
        if self.of_workflows:
            return subjects.any_workflow_change(self.scope, "*")
        return subjects.execution_change(self.scope, "*", "*")

    def last_of(self, namespace: str, workflow: str, uid: str) -> str:
        """Subject filter of all changes of one object."""
        if self.of_workflows:
            return subjects.any_workflow_change(namespace, uid)
        return subjects.execution_change(namespace, workflow, uid)

    def change(self, namespace: str, workflow: str, uid: str) -> str:
        """Subject of a change of one object, but for those of a workflow's status only."""
        if self.of_workflows:
            return subjects.workflow_change(namespace, uid)
        return subjects.execution_change(namespace, workflow, uid)

    def owns(self, uid: str) -> bool:
        """Whether an object belongs to the share of this view."""
        return self.shares == 1 or shard_of(uid, self.shares) == self.share
