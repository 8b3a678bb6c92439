"""What is read before something is done: the last decision, the definition, the parameters as the user wrote them."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

import msgspec

from executor_bridge import definition
from runtime import chain
from runtime.errors import NotFoundError
from runtime.kinds import WORKFLOWS
from schemas import messages, subjects

if TYPE_CHECKING:
    from executor_bridge.api import Api
    from executor_bridge.definition import Definition
    from runtime.ports import Log, Object, Stored
    from schemas.messages import CreateExecution, Decision, WorkflowRef

CACHED: Final = 512
"""Definitions kept in memory; each is some 100 bytes a step."""
_DECISION: Final = msgspec.json.Decoder(messages.Decision)
_CHANGE: Final = msgspec.json.Decoder(messages.WorkflowChanged)


class _Spec(msgspec.Struct, frozen=True):
    key: str = msgspec.field(default="", name="idempotencyKey")


class _Execution(msgspec.Struct, frozen=True):
    spec: _Spec = _Spec()


class _ExecutionChange(msgspec.Struct, frozen=True):
    object: _Execution


_EXECUTION_CHANGE: Final = msgspec.json.Decoder(_ExecutionChange)


class UnreadableError(ValueError):
    """The last decision of a workflow cannot be read, so that nobody can know what is still wanted."""


async def last_decision(log: Log, workflow_uid: str) -> Decision | None:
    """Read the last decision of a workflow. Raises UnreadableError, or UnavailableError without an answer."""
    stored = (await chain.head(log, subjects.decision(workflow_uid))).link
    return None if stored is None else read_decision(stored)


def read_decision(stored: Stored) -> Decision:
    """Decode a decision. Raises UnreadableError that says what is wrong with it."""
    kind = stored.headers.get("ce-type", "")
    if kind != messages.TYPE_OF[messages.Decision]:
        raise UnreadableError(f"message {stored.sequence} on {stored.subject} is of type {kind!r}, so no decision")
    try:
        decision = _DECISION.decode(stored.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableError(f"message {stored.sequence} of {stored.stream} is no decision: {error}") from error
    if stored.subject != subjects.decision(decision.workflow.uid):
        uid = decision.workflow.uid
        raise UnreadableError(f"message {stored.sequence} on {stored.subject} is a decision about {uid!r}")
    return decision


async def is_there(api: Api, workflow: WorkflowRef) -> bool:
    """Whether the workflow still exists, by the newest data of the cluster: the log learns of its end only later."""
    try:
        found = await api.get(WORKFLOWS, workflow.namespace, workflow.name)
    except NotFoundError:
        return False
    return bool(found["metadata"]["uid"] == workflow.uid)


async def was_told(log: Log, workflow: WorkflowRef, command: CreateExecution, sequence: int) -> bool:
    """Whether a watcher has told of the execution that a command asks for: it was made, whatever became of it since.

    `sequence`: of the command's decision. What cannot be read tells of none. Raises UnavailableError.
    """
    subject = subjects.execution_change(workflow.namespace, workflow.uid, "*")
    found = log.scan(subjects.LOG.name, subject, last_per_subject=True, start=sequence)
    async with aclosing(found) as changes:
        async for stored in changes:
            try:
                key = _EXECUTION_CHANGE.decode(stored.data).object.spec.key
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
            if key == command.idempotency_key:
                return True
    return False


class Definitions:
    """The definitions that statuses show words of, read from the log once each."""

    def __init__(self, log: Log) -> None:
        """Read from `log`."""
        self._log = log
        self._cache: OrderedDict[tuple[str, int], Definition] = OrderedDict()

    async def of(self, decision: Decision) -> Definition | None:
        """Return the definition that the decision's run was planned from; None when there is none that makes sense.

        Raises UnavailableError when the log does not answer.
        """
        key = (decision.workflow.uid, decision.state.definition_sequence)
        known = self._cache.get(key)
        if known is not None:
            self._cache.move_to_end(key)
            return known
        read = await self._read(decision.workflow, decision.state.definition_sequence)
        if read is not None:
            self._cache[key] = read
            if len(self._cache) > CACHED:
                self._cache.popitem(last=False)
        return read

    async def _read(self, workflow: WorkflowRef, sequence: int) -> Definition | None:
        subject = subjects.workflow_change(workflow.namespace, workflow.uid)
        stored = await self._log.get(subjects.LOG.name, sequence) if sequence else None
        if stored is None or stored.subject != subject:
            stored = await self._log.last(subjects.LOG.name, subject)
        if stored is None:
            return None
        try:
            change = _CHANGE.decode(stored.data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return definition.read(change.object)


async def original_parameters(api: Api, workflow: WorkflowRef, command: CreateExecution) -> dict[str, Any] | None:
    """Read a step's parameters from the workflow itself, where nothing is redacted.

    None when the workflow of that uid has no such step, or no way to undo it, any more. Raises NotFoundError when there
    is no workflow. The values must never get into a log line or a message.
    """
    found = await api.get(WORKFLOWS, workflow.namespace, workflow.name)
    if found["metadata"]["uid"] != workflow.uid:
        return None
    step = _step((found.get("spec") or {}).get("workflowDefinition") or {}, command.step)
    source = step.get("rollbackSpec") if step is not None and command.purpose == "rollback" else step
    return None if source is None else dict(source.get("parameters") or {})


def _step(definition: Object, number: int) -> Object | None:
    """Find a step among those that are written and, with the numbers after the highest of them, the recommended."""
    written: list[Object] = definition.get("steps") or []
    recommended: list[Object] = (definition.get("aiRecommendations") or {}).get("recommendations") or []
    highest = max((step.get("stepNumber") or 0 for step in written), default=0)
    after = number - highest - 1
    if 0 <= after < len(recommended):
        return recommended[after]
    return next((step for step in written if step.get("stepNumber") == number), None)
