"""What must hold after any faults, by what is not ours: the API server's audit log, the stream, the database.

Knows nothing of failpoints.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import aclosing
from typing import Any

import msgspec

from runtime.nats_scan import scan
from scheduler.decision_messages import decode_decision
from schemas.messages import Decision
from schemas.subjects import DECISIONS, LOG
from schemas.workflow_status import TERMINAL_PHASES
from tests.e2e.world import World, until
from tests.nats_server import administrator


class Ending(msgspec.Struct, frozen=True):
    """How a run ended: what must not depend on any fault."""

    phase: str
    outcome: str
    steps: tuple[Any, ...]
    executions: tuple[tuple[str, int], ...]
    """Ending of the name of each of its executions, and how often it was created."""


class Chains:
    """Every chain of decisions in the log, by the uid of the workflow; what is no decision is left out."""

    def __init__(self, world: World) -> None:
        assert world.stack.nats_url
        self._url = world.stack.nats_url
        self._read = 0
        self.of: dict[str, list[Decision]] = defaultdict(list)

    async def read_on(self) -> None:
        """Read what came since the last time."""
        async with (
            administrator(self._url) as connection,
            aclosing(scan(connection, LOG.name, DECISIONS, last_per_subject=False, start=self._read + 1)) as messages,
        ):
            async for message in messages:
                self._read = message.sequence
                try:
                    decision = decode_decision(message)
                except (ValueError, TypeError, msgspec.MsgspecError):
                    continue  # of the queue, or poison
                self.of[decision.workflow.uid].append(decision)

    def running(self, uids: dict[str, str]) -> dict[str, str]:
        """The phase of each run that has not ended, by name. `uids`: name to uid."""
        phases = {uid: chain[-1].state.phase for uid, chain in self.of.items()}
        return {
            name: phases.get(uid, "unknown") for name, uid in uids.items() if phases.get(uid, "") not in TERMINAL_PHASES
        }


async def endings(world: World, uids: dict[str, str], seconds: float) -> dict[str, Ending]:
    """Wait until all runs have ended, by the log; return how, by name. `uids`: name to uid."""
    chains = Chains(world)

    async def all_over() -> bool:
        await chains.read_on()
        return not chains.running(uids)

    try:
        await until(all_over, "all runs have ended", seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}: {chains.running(uids)}") from None
    for chain in chains.of.values():
        versions = [decision.version for decision in chain]
        assert list(range(1, len(chain) + 1)) == versions, chain[0].workflow
    creations = world.creations(list(uids))
    return {name: _ending(name, chains.of[uid][-1], creations) for name, uid in uids.items()}


def _ending(name: str, decision: Decision, creations: Counter[str]) -> Ending:
    state = decision.state
    prefix = f"{name}-step-"
    made = sorted((each.removeprefix(prefix), n) for each, n in creations.items() if each.startswith(prefix))
    return Ending(
        phase=state.phase,
        outcome=state.outcome,
        steps=(
            *((step.number, step.phase, step.attempt, step.retries, step.reason) for step in state.steps),
            *((side.number, side.phase) for side in (*state.dry_runs, *state.rollbacks)),
        ),
        executions=tuple(made),
    )


async def audit_is_complete(world: World, seconds: float) -> int:
    """Wait until the audit accounts for each message of the log, once; return how many that are."""
    found: dict[str, int] = {}

    async def complete() -> bool:
        messages = await world.messages_in_log()
        row = await world.database.fetchrow(
            "SELECT (SELECT count(*) FROM audit_accounted) AS accounted,"
            " (SELECT count(DISTINCT stream_sequence) FROM audit_accounted) AS sequences,"
            " (SELECT count(*) FROM audit_repeat) AS repeats"
        )
        found.update(dict(row or {}), messages=messages)
        return messages == found["accounted"] == found["sequences"] and found["repeats"] == 0

    try:
        await until(complete, "the audit holds each message once", seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}: {found}") from None
    return found["messages"]
