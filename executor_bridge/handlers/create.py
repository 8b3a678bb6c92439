"""Create the KubernetesExecution of a step, once, whatever is repeated or lost (G5; reliability.md, B2-B4).

Must never adopt or delete an object that another command or another product made.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from executor_bridge import decide, gather, metrics
from executor_bridge.context import Context, Order, Refused
from executor_bridge.execution import body_of, judge, owner_of
from executor_bridge.patience import NotYetError, persist
from runtime.errors import AlreadyExistsError, ForbiddenError, NotFoundError, RefusedError, UnavailableError
from runtime.kinds import EXECUTIONS
from schemas.redaction import holds_marker

if TYPE_CHECKING:
    from runtime.ports import Object
    from schemas.messages import CreateExecution

FRESH_SECONDS: Final = 0.01
"""How long what the log said is wanted counts. It takes longer until another copy of this message has made the
execution and it was seen, decided about and deleted, which frees its name for us; a freeze or a queue takes longer."""
ELSEWHERE_SECONDS: Final = 3.0
"""A message that was in hand for longer may have been given to another bridge: the server takes this one for dead."""


async def create(context: Context, order: Order, command: CreateExecution) -> Refused | None:
    """Make sure that the execution exists; None when it does or is no longer wanted.

    Raises TimeUpError, ForbiddenError, RefusedError.
    """
    return await persist(context.limits, order.until, _Create(context, order, command).attempt)


class _Create:
    """One create over all its tries."""

    def __init__(self, context: Context, order: Order, command: CreateExecution) -> None:
        self._context = context
        self._order = order
        self._command = command
        self._workflow = order.decision.workflow
        self._now = asyncio.get_running_loop().time
        self._began = self._now()
        self._repeated = order.again
        """Whether the execution may have been asked for before."""
        self._looked_at = float("-inf") if order.again else order.looked_at
        self._leaving_since: float | None = None
        self._parameters: dict[str, Any] | None = None
        self._secret = False

    async def attempt(self, tries: int) -> Refused | None:
        """Do it once; after the first try, first find out what has become of it."""
        if tries:
            self._repeated = True
            if not await self._is_wanted():
                return None
            found = await self._found()
            if found is not None:
                return self._judged(found)
        if self._repeated and not await gather.is_there(self._context.api, self._workflow):
            # It may have been made before, and been collected with the workflow that owned it.
            return None
        try:
            return await self._create()
        except AlreadyExistsError as error:
            found = await self._found()
            if found is None:
                raise NotYetError(str(error)) from error
            return self._judged(found)
        except NotFoundError as error:
            return Refused("gone", str(error))

    async def _create(self) -> Refused | None:
        if self._parameters is None:
            self._secret = holds_marker(self._command.parameters)
            if self._secret and (refused := _unfillable(self._command)) is not None:
                return refused
            self._parameters = await self._fill() if self._secret else self._command.parameters
            if self._parameters is None:
                return Refused("gone", "the workflow, which alone holds the parameters of the step, is gone")
        body = body_of(self._command, self._workflow, self._parameters, self._order.traceparent)
        try:
            async with self._context.creates:
                if not await self._is_wanted_now():
                    return None
                await self._context.api.create(EXECUTIONS, self._workflow.namespace, body)
        except (ForbiddenError, UnavailableError):
            raise
        except RefusedError as error:
            if not self._secret:
                raise
            # What the cluster says may quote a parameter, and this one's are secret (G12).
            message = "the cluster refused it; its words are withheld, because the parameters hold a secret"
            raise RefusedError(message, reason=error.reason) from None
        metrics.CREATION_SECONDS.observe(self._now() - self._began)
        return None

    async def _is_wanted_now(self) -> bool:
        """Whether it is wanted when the request can leave at once: a server may want to be left alone for a minute."""
        while True:
            await self._context.api.ready()
            if self._now() - self._looked_at <= FRESH_SECONDS:
                return True
            if not await self._is_wanted():
                return False
            if not self._context.api.rests:
                return True

    async def _is_wanted(self) -> bool:
        self._looked_at = self._now()
        self._repeated |= self._looked_at - self._order.looked_at > ELSEWHERE_SECONDS
        last = await gather.last_decision(self._context.log, self._workflow.uid)
        if last is not None and not decide.is_wanted(self._command, last.state):
            return False
        # The scheduler may not have heard yet of one that was made, and that somebody has deleted since.
        return not (self._repeated and await self._was_told())

    async def _was_told(self) -> bool:
        async with self._context.looks_back:
            return await gather.was_told(self._context.log, self._workflow, self._command, self._order.sequence)

    async def _fill(self) -> dict[str, Any] | None:
        return await gather.original_parameters(self._context.api, self._workflow, self._command)

    async def _found(self) -> Object | None:
        try:
            async with self._context.creates:
                return await self._context.api.get(EXECUTIONS, self._workflow.namespace, self._command.name)
        except NotFoundError:
            return None

    def _judged(self, found: Object) -> Refused | None:
        """Decide about the object that has our name. Raises NotYetError while it may still leave."""
        verdict = judge(found, self._workflow, self._command.idempotency_key)
        if verdict == "ours":
            return None
        if verdict == "leaving":
            if self._leaving_since is None:
                self._leaving_since = self._now()
            if self._now() - self._leaving_since < self._context.limits.leaving:
                raise NotYetError(f"{self._command.name} belongs to another owner and may be about to be deleted")
        name, namespace = self._command.name, self._workflow.namespace
        return Refused(
            "name_conflict",
            f"another KubernetesExecution is named {name} in {namespace} (owned by {owner_of(found) or 'nobody'}); "
            "delete it or give the workflow another name, then apply the workflow again",
        )


def _unfillable(command: CreateExecution) -> Refused | None:
    """Refuse parameters whose redacted part no object holds; None when the workflow does."""
    if command.derived:
        what = "what the executor reported of the time before holds a secret, so the step cannot be undone from it"
        return Refused("invalid", f"{what}; give the step a rollbackSpec")
    if command.rendered:
        what = "a secret cannot go through a {{ }} template: it is taken out of the log, and no object holds the result"
        return Refused("invalid", f"{what}; write the value as it is, or name a Secret for the action to read")
    return None
